-- schema.sql -- the tuning database: every attempt a committed row.
--
--   problem   what is computed, for how many rows, on which architecture
--   device    what ran it, or what the emulator stood for
--   binary    one compile: a text of CUDA and what NVRTC made of it
--   blob      text and machine code, by hash
--   attempt   one configuration of one problem, tried on one device
--   race      a problem whose candidates have all been tried
--
-- A winner is the view `winner`, never a stored field. The identity of an
-- attempt is problem, configuration and the hash of its machine code;
-- generator, toolkit, policy, host and time are provenance.
--
-- A line `-- version N` begins what version N added; store.c applies, in one
-- transaction each, the sections newer than the file's user_version. Never
-- edit a section that has been released: add one.

-- version 1

-- The statuses of store.h, with their meaning, written by store.c.
CREATE TABLE status(
    name    TEXT PRIMARY KEY,
    meaning TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE device(
    id               INTEGER PRIMARY KEY,
    identity         TEXT NOT NULL UNIQUE, -- the columns below, as one text
    name             TEXT NOT NULL,
    arch             TEXT NOT NULL,
    capability       INTEGER NOT NULL, -- 90 for 9.0
    sm_count         INTEGER NOT NULL,
    clock_khz        INTEGER NOT NULL,
    memory_clock_khz INTEGER NOT NULL,
    memory_bytes     INTEGER NOT NULL,
    l2_bytes         INTEGER NOT NULL,
    driver_version   INTEGER NOT NULL, -- 13000 for 13.0; 0 when emulated
    emulated         INTEGER NOT NULL CHECK(emulated IN (0, 1)),
    mig              INTEGER NOT NULL CHECK(mig IN (0, 1))
);

CREATE TABLE problem(
    id     INTEGER PRIMARY KEY,
    key    TEXT NOT NULL UNIQUE, -- canonical SPEC without configuration
    family TEXT NOT NULL,
    format TEXT NOT NULL,        -- '' when the family has none
    type   TEXT NOT NULL,        -- of y (gemm) or x (quant_act)
    n      INTEGER NOT NULL,     -- 0 when the family has none
    k      INTEGER NOT NULL,
    bias   INTEGER NOT NULL,
    m      INTEGER NOT NULL,     -- bucket
    arch   TEXT NOT NULL
);

CREATE TABLE blob(
    id     INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    kind   TEXT NOT NULL CHECK(kind IN ('source', 'ptx', 'cubin')),
    size   INTEGER NOT NULL,
    bytes  BLOB NOT NULL
);

CREATE TABLE binary(
    id            INTEGER PRIMARY KEY,
    source_sha256 TEXT NOT NULL REFERENCES blob(sha256),
    arch          TEXT NOT NULL,
    nvrtc         TEXT NOT NULL,
    ptx_sha256    TEXT REFERENCES blob(sha256),   -- NULL: did not compile
    cubin_sha256  TEXT REFERENCES blob(sha256),
    registers     INTEGER NOT NULL,
    spill_bytes   INTEGER NOT NULL,
    stack_bytes   INTEGER NOT NULL,
    shared_static INTEGER NOT NULL,
    code_bytes    INTEGER NOT NULL,
    c75xx         INTEGER NOT NULL,
    compile_ms    REAL NOT NULL,
    UNIQUE(source_sha256, arch, nvrtc)
);

CREATE TABLE attempt(
    id            INTEGER PRIMARY KEY,
    uid           TEXT NOT NULL UNIQUE, -- hash of the row: a merge is idempotent
    problem       INTEGER NOT NULL REFERENCES problem(id),
    configuration TEXT NOT NULL,        -- canonical SPEC with every axis
    cubin_sha256  TEXT NOT NULL,        -- '' when there is no machine code
    device        INTEGER NOT NULL REFERENCES device(id),
    binary        INTEGER REFERENCES binary(id),
    is_default    INTEGER NOT NULL CHECK(is_default IN (0, 1)),
    status        TEXT NOT NULL REFERENCES status(name),
    error         TEXT NOT NULL,
    -- how it is launched
    entry         TEXT NOT NULL,
    threads       INTEGER NOT NULL,
    shared        INTEGER NOT NULL,
    tile_n        INTEGER NOT NULL,
    tile_m        INTEGER NOT NULL,
    split_k       INTEGER NOT NULL,
    -- times, microseconds
    estimate_us   REAL,    -- analytic, before compiling
    predicted_us  REAL,    -- cost model, from the emulator's counts
    measured_us   REAL,    -- median
    spread_us     REAL,    -- half of the interval of the median
    samples       INTEGER NOT NULL,
    times         TEXT NOT NULL, -- JSON array of the samples
    bound         TEXT NOT NULL, -- what the cost model says it waits for
    counts        TEXT NOT NULL, -- JSON object: one block on the emulator
    verified      TEXT NOT NULL, -- '' or what was compared with the reference
    -- provenance
    policy        TEXT NOT NULL, -- how it was verified and measured
    generator     TEXT NOT NULL, -- hash of scripts and templates
    nvrtc         TEXT NOT NULL,
    tessera       TEXT NOT NULL,
    host          TEXT NOT NULL,
    time          TEXT NOT NULL, -- UTC, ISO 8601
    seconds       REAL NOT NULL  -- spent on it
);

CREATE INDEX attempt_identity
    ON attempt(problem, device, configuration, cubin_sha256);

CREATE TABLE race(
    id         INTEGER PRIMARY KEY,
    problem    INTEGER NOT NULL REFERENCES problem(id),
    device     INTEGER NOT NULL REFERENCES device(id),
    policy     TEXT NOT NULL,
    generator  TEXT NOT NULL,
    nvrtc      TEXT NOT NULL,
    candidates INTEGER NOT NULL, -- how many were compiled
    finalists  INTEGER NOT NULL, -- how many were verified
    UNIQUE(problem, device, policy, generator, nvrtc, candidates, finalists)
);

-- The newest word on each identity, on each device.
CREATE VIEW latest AS
SELECT * FROM (
    SELECT attempt.*,
           row_number() OVER (
               PARTITION BY problem, device, configuration, cubin_sha256
               ORDER BY time DESC, id DESC) AS age
    FROM attempt)
WHERE age = 1;

-- What may win: verified, with a time. Predictions of two cost models do not
-- compare, so of a problem's predicted rows those of the newest generator
-- count; a measured time stands for itself.
CREATE VIEW candidate AS
SELECT latest.id AS attempt, problem.key, problem.family, problem.format,
       problem.type, problem.n, problem.k, problem.bias, problem.m,
       problem.arch, device.name AS device_name, device.sm_count, device.mig,
       device.emulated, latest.status = 'measured' AS measured,
       CASE latest.status WHEN 'measured' THEN latest.measured_us
                          ELSE latest.predicted_us END AS microseconds,
       coalesce(latest.spread_us, 0) AS spread_us,
       -- what a resident block takes: registers and shared memory, bytes
       binary.registers * 4 * latest.threads + latest.shared
           + binary.shared_static AS footprint,
       binary.code_bytes, binary.registers, binary.spill_bytes,
       binary.ptx_sha256, latest.cubin_sha256, latest.configuration,
       latest.is_default, latest.status, latest.entry, latest.threads,
       latest.shared, latest.tile_n, latest.tile_m, latest.split_k,
       latest.estimate_us, latest.predicted_us, latest.measured_us,
       latest.bound, latest.verified, latest.policy, latest.generator,
       latest.nvrtc, latest.tessera, latest.time, device.driver_version
FROM (SELECT *, first_value(generator) OVER (
                    PARTITION BY problem, device, status
                    ORDER BY time DESC, id DESC) AS newest
      FROM latest) AS latest
JOIN problem ON problem.id = latest.problem
JOIN device ON device.id = latest.device
JOIN binary ON binary.id = latest.binary
WHERE latest.status = 'measured' AND latest.measured_us IS NOT NULL
   OR latest.status = 'predicted' AND latest.predicted_us IS NOT NULL
      AND latest.generator = latest.newest;

-- One row per problem and kind of device: measured before predicted; among
-- those whose interval reaches the best, the smallest footprint.
CREATE VIEW winner AS
SELECT * FROM (
    SELECT *,
           row_number() OVER (
               PARTITION BY key, device_name, sm_count, mig
               ORDER BY measured DESC, tied DESC,
                        CASE WHEN tied THEN footprint END,
                        CASE WHEN tied THEN code_bytes END,
                        microseconds, configuration, attempt) AS place
    FROM (SELECT *,
                 microseconds - spread_us <= min(microseconds + spread_us)
                     OVER (PARTITION BY key, device_name, sm_count, mig,
                           measured) AS tied
          FROM candidate))
WHERE place = 1;
