/* measure.h -- the time of a verified kernel on a GPU. Policy "graph-1":
**
** A CUDA graph launches the kernel GRAPH_LAUNCHES times, each on the next of
** several copies of the weights that together exceed twice the L2 cache, so
** every launch finds its weights in DRAM as a model's layers do, and no
** launch cost of the host is in the time. The graph is replayed, warm-up
** replays are dropped, and each replay's time over its launches is a sample.
** Median; the spread is half the distance of the quartiles over the root of
** the number of samples. On the emulator nothing is timed: TSR_EUNSUPPORTED.
*/
#ifndef TUNE_MEASURE_H
#define TUNE_MEASURE_H

#include "autotune/trial.h"

struct tune_timing {
    double median_us, spread_us;
    double *times; /* microseconds, as they came */
    int samples;
};

int tune_trial_time(struct tune_trial *trial, size_t m, struct tune_timing *out,
                    struct tsr_error *err);
void tune_timing_release(struct tune_timing *timing);

#endif
