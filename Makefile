# Makefile -- builds, tests and checks Tessera; `make help` lists the words.
#
# Variables you may set on the command line:
#   CONFIG=release   release, debug, asan (each has its own folder in build/)
#   JOBS=2           tests run at once (default: the number of cores)
#   PREFIX=          where `make install` puts things (default /usr/local)
#   CC, CFLAGS       your compiler and further flags
#   FUZZ_SECONDS=60  how long `make fuzz` runs each target
CONFIG       ?= release
JOBS         ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX       ?= /usr/local
DESTDIR      ?=
CC           := $(if $(filter default,$(origin CC)),gcc,$(CC))
CFLAGS       ?=
FUZZ_SECONDS ?= 60
V            ?=
Q            := $(if $(V),,@)

MAKEFLAGS += --no-builtin-rules
.SECONDARY: # objects made on the way to a program are kept

# ---- flags ------------------------------------------------------------------
# -ffp-contract=off: the reference arithmetic is IEEE step by step, as the
# kernels are (--fmad=false); a fused multiply-add is written where it is meant.
base_flags     := -std=c11 -D_GNU_SOURCE -g -Wall -Wextra -Werror \
                  -ffp-contract=off -pthread -I. -isystem /usr/include/lua5.4
flags_release  := -O2
flags_debug    := -O0
flags_asan     := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
                  -fno-omit-frame-pointer
flags_config   := $(flags_$(CONFIG))
ifeq ($(flags_config),)
flags_config   := -O2
endif
all_flags      := $(base_flags) $(flags_config) $(CFLAGS)
runtime_libs   := -ljansson -lsqlite3 -ldl -lm -pthread
tool_libs      := -llua5.4 $(runtime_libs)

# ---- places -----------------------------------------------------------------
out      := build/$(CONFIG)
products := $(if $(filter release,$(CONFIG)),build,$(out))

# ---- sources, found by wildcard ----------------------------------------------
mains           := autotune/main.c runtime/server/main.c gen/host/embed.c
runtime_sources := $(filter-out $(mains),$(shell find runtime -name '*.c'))
gen_sources     := $(filter-out $(mains),$(shell find gen -name '*.c'))
tune_sources    := $(filter-out $(mains),$(shell find autotune -name '*.c'))
scripts         := $(sort $(shell find gen/lua templates -type f) \
                   autotune/schema.sql)
unit_tests      := $(sort $(wildcard tests/unit/test_*.c))
gpu_mains       := tests/gpu/gpu_check.c tests/gpu/gpu_prepare.c
test_helpers    := $(filter-out $(gpu_mains),\
                   $(sort $(shell find tests/emulator tests/golden tests/gpu \
                   -name '*.c')))
fuzz_targets    := $(sort $(wildcard tests/fuzz/fuzz_*.c))

object           = $(patsubst %.c,$(out)/%.o,$(1))
runtime_objects := $(call object,$(runtime_sources))
tool_objects    := $(call object,$(gen_sources) $(tune_sources)) \
                   $(out)/embedded.o
unit_programs   := $(patsubst tests/unit/%.c,$(out)/tests/%,$(unit_tests))
fuzz_replays    := $(patsubst tests/fuzz/%.c,$(out)/fuzz/%,$(fuzz_targets))
library         := $(products)/libtessera.a
lookalike       := $(out)/lookalike/libcuda.so.1

# The emulator's loops over 32 lanes are written to be vectorised.
$(out)/runtime/emulator/%.o: level := $(if $(filter asan debug,$(CONFIG)),,-O3)

# ---- build ------------------------------------------------------------------
.PHONY: all
all: $(products)/tessera $(products)/tessera-serve $(library)

$(products)/tessera: $(out)/autotune/main.o $(out)/libtools.a $(library)
	$(Q)$(CC) $(all_flags) -o $@ $^ $(tool_libs)

$(products)/tessera-serve: $(out)/runtime/server/main.o $(library)
	$(Q)$(CC) $(all_flags) -o $@ $^ $(runtime_libs)

$(library): $(runtime_objects)
	$(Q)rm -f $@ && mkdir -p $(@D) && ar rcs $@ $^

$(out)/libtools.a: $(tool_objects)
	$(Q)rm -f $@ && ar rcs $@ $^

$(out)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(all_flags) $(level) -fPIC -MMD -MP -c $< -o $@

$(out)/embed: $(out)/gen/host/embed.o
	$(Q)$(CC) $(all_flags) -o $@ $^

$(out)/embedded.c: $(out)/embed $(scripts)
	$(Q)$(out)/embed $@ $(scripts) && touch $@

$(out)/embedded.o: $(out)/embedded.c
	$(Q)$(CC) $(all_flags) -c $< -o $@

-include $(shell find $(out) -name '*.d' 2>/dev/null)

# ---- tests ------------------------------------------------------------------
test_objects := $(call object,$(test_helpers))

$(out)/tests/%: $(out)/tests/unit/%.o $(test_objects) $(out)/libtools.a \
                $(library)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(all_flags) -o $@ $< -Wl,--start-group $(test_objects) \
	    $(out)/libtools.a $(library) -Wl,--end-group $(tool_libs) -lcmocka

# gpu_check runs on the GPU machine, which has none of the libraries; what
# gpu_prepare does (rendering, compiling) is done here.
$(out)/gpu/gpu_check: $(out)/tests/gpu/gpu_check.o $(test_objects) \
                      $(out)/libtools.a $(library)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(all_flags) -o $@ $< -Wl,--start-group \
	    $(filter-out $(out)/tests/golden/% $(out)/tests/emulator/emulate.o,\
	    $(test_objects)) $(out)/libtools.a $(library) -Wl,--end-group \
	    -ldl -lm -pthread

$(out)/gpu/gpu_prepare: $(out)/tests/gpu/gpu_prepare.o $(test_objects) \
                        $(out)/libtools.a $(library)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(all_flags) -o $@ $< -Wl,--start-group $(test_objects) \
	    $(out)/libtools.a $(library) -Wl,--end-group $(tool_libs) -lcmocka

# The driver look-alike: libcuda's entry points on the emulator.
$(lookalike): $(call object,$(wildcard tests/lookalike/*.c)) $(library)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(all_flags) -shared -Wl,-soname,libcuda.so.1 \
	    -Wl,--exclude-libs,ALL -o $@ $^ $(runtime_libs)

# Without clang a fuzz target replays its corpus; `make fuzz` explores.
$(out)/fuzz/%: $(out)/tests/fuzz/%.o $(out)/tests/fuzz/replay.o \
               $(out)/libtools.a $(library)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(all_flags) -o $@ $< $(out)/tests/fuzz/replay.o \
	    -Wl,--start-group $(out)/libtools.a $(library) -Wl,--end-group \
	    $(tool_libs)

.PHONY: test-programs
test-programs: all $(unit_programs) $(fuzz_replays) $(lookalike) \
               $(patsubst tests/gpu/%.c,$(out)/gpu/%,$(wildcard $(gpu_mains)))

# Every test; one line at the end says how many passed, failed, were skipped.
.PHONY: test
test: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) test-programs
	$(Q)tests/run $(out) $(JOBS)

# The same tests under AddressSanitizer and UndefinedBehaviorSanitizer.
.PHONY: asan
asan: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) CONFIG=asan test-programs
	$(Q)tests/run build/asan $(JOBS)

# The unit tests under valgrind (slow).
.PHONY: valgrind
valgrind: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) test-programs
	$(Q)TSR_WRAPPER="valgrind -q --error-exitcode=99 --leak-check=full \
	    --child-silent-after-fork=yes" \
	    tests/run $(out) $(JOBS) unit

# Shows what changed in the golden files and keeps it.
golden_tests := $(shell grep -l golden_compare tests/unit/*.c)
golden_programs := $(patsubst tests/unit/%.c,$(out)/tests/%,$(golden_tests))
.PHONY: golden-accept
golden-accept: $(golden_programs)
	$(Q)for program in $(golden_programs); do \
	    TSR_GOLDEN_ACCEPT=1 $$program >/dev/null 2>&1; done; true
	$(Q)git --no-pager diff --stat -p -- tests/golden

# Explores each fuzz target for FUZZ_SECONDS with libFuzzer (clang).
.PHONY: fuzz
fuzz: deps
	$(Q)tests/fuzz/run $(FUZZ_SECONDS)

# ---- the main job -------------------------------------------------------------
# Quantise, tune, pack and verify the demo model, from nothing.
.PHONY: demo
demo: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)tests/e2e/demo build/demo

# ---- what a machine needs -----------------------------------------------------
.PHONY: deps
deps:
	$(Q).ci/deps

# ---- checks -------------------------------------------------------------------
# The wall, the formatting, the linter, undefined variables, clean programs.
.PHONY: check
check: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) --warn-undefined-variables \
	    all 2>&1 | tee build/make.log; ! grep -n 'undefined variable' \
	    build/make.log
	$(Q).ci/check $(JOBS)

# ---- install ------------------------------------------------------------------
.PHONY: install
install: all
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib \
	    $(DESTDIR)$(PREFIX)/include
	$(Q)install -m 755 $(products)/tessera $(products)/tessera-serve \
	    $(DESTDIR)$(PREFIX)/bin
	$(Q)install -m 644 $(library) $(DESTDIR)$(PREFIX)/lib
	$(Q)install -m 644 runtime/tessera.h $(DESTDIR)$(PREFIX)/include

# ---- the GPU bundle -------------------------------------------------------------
# A folder that checks and measures everything on a machine with a GPU.
.PHONY: gpu-bundle
gpu-bundle: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) test-programs
	$(Q)tests/gpu/make-bundle $(out) build/gpu-bundle

.PHONY: clean
clean:
	$(Q)rm -rf build/$(CONFIG) build/tessera build/tessera-serve \
	    build/libtessera.a

.PHONY: help
help:
	@echo "make               build/tessera, build/tessera-serve, build/libtessera.a"
	@echo "make demo          quantise, tune, pack and verify the demo model"
	@echo "make test          every test"
	@echo "make check         the wall, formatting, linters"
	@echo "make asan          every test under ASan and UBSan"
	@echo "make valgrind      the unit tests under valgrind"
	@echo "make fuzz          explore the fuzz targets for FUZZ_SECONDS each"
	@echo "make golden-accept show and keep changed golden files"
	@echo "make gpu-bundle    a folder to run on a machine with a GPU"
	@echo "make install       into PREFIX (default /usr/local)"
	@echo "make deps          install what is missing (Debian packages, NVRTC)"
	@echo "make clean         forget CONFIG's build"
