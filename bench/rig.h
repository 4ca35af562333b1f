/* What the rig's C programs share: the frame file, a frame's stamp, the clock.
 * The layout of a frame is told in rig_frames.py. */
#ifndef RIG_H
#define RIG_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RIG_HEAD = 70, RIG_TAIL = 16 };

struct rig_frames {
    uint32_t count;
    uint32_t *len;
    uint8_t **data;
};

static inline int64_t rig_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void rig_die(const char *what)
{
    perror(what);
    exit(1);
}

static inline struct rig_frames rig_load(const char *path)
{
    struct rig_frames f = {0};
    char magic[4];
    FILE *in = fopen(path, "rb");
    if (!in || fread(magic, 4, 1, in) != 1 || memcmp(magic, "RIGF", 4) ||
        fread(&f.count, 4, 1, in) != 1)
        rig_die(path);
    f.len = calloc(f.count, sizeof *f.len);
    f.data = calloc(f.count, sizeof *f.data);
    for (uint32_t i = 0; i < f.count; i++) {
        if (fread(&f.len[i], 4, 1, in) != 1)
            rig_die(path);
        f.data[i] = malloc(f.len[i]);
        if (fread(f.data[i], f.len[i], 1, in) != 1)
            rig_die(path);
    }
    fclose(in);
    return f;
}

/* Writes frame `seq`, stamped with the present time, to `out`; returns its length. */
static inline uint32_t rig_stamp(const struct rig_frames *f, uint64_t seq, uint8_t *out)
{
    uint32_t i = seq % f->count, len = f->len[i];
    char text[32];
    memcpy(out, f->data[i], len);
    snprintf(text, sizeof text, "%010llu", (unsigned long long)seq);
    memcpy(out + 10, text, 10);
    memcpy(out + len - 12, text, 10);
    snprintf(text, sizeof text, "%020lld", (long long)rig_now());
    memcpy(out + 20, text, 20);
    return len;
}

#endif
