/* mjload: many viewers of one MJPEG-over-HTTP server, in one thread.
 *
 *   mjload --url HOST:PORT/PATH [--clients N] [--warmup S] [--seconds S] [--http10]
 *          [--slow K] [--slow-rate KBPS] [--slow-resume S] [--rcvbuf BYTES] [--ramp N]
 *          [--linger S] [--quickack 1]
 *
 * It connects N viewers, waits until each has a frame (or 15 s), lets `warmup` seconds pass,
 * prints "BEGIN", counts for `seconds`, prints "END", goes on reading for `linger` seconds (so
 * that somebody can look at the server meanwhile), and prints one line of JSON. While it counts
 * it prints every second "SECOND", the frames of that second, its own CPU seconds, and the
 * second's latencies (median, 99th percentile, largest, in ms). SIGUSR1 ends the count early.
 *
 * It takes parts with or without Content-Length, and bodies with or without chunked transfer
 * coding. Frames made by rig_frames.py are checked byte for byte (torn), and their stamp gives
 * the time from publishing to the frame's last byte here (latency) and the numbers missed.
 *
 * --quickack 1      acknowledge at once (tells a server's Nagle stalls from other delays)
 * --slow K          K further viewers, not counted among the N: from BEGIN on they read at
 *                   --slow-rate KB/s (default 0: they stop reading altogether)
 *                   ("age_ms" is how old the frames are that they get in the second half)
 * --slow-resume S   S seconds after BEGIN the slow ones read at full speed again; what they
 *                   then get, how old it is and for how long, is told apart
 */
#define _GNU_SOURCE
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum state { CONNECTING, HEADER, PART, BODY, SCAN, GONE };

struct conn {
    int fd, slow, reading;
    enum state state;
    char boundary[80];
    int boundary_len;
    /* chunked transfer coding */
    int chunked, chunk_state;
    size_t chunk_left;
    /* bytes of the (dechunked) stream not dealt with yet */
    uint8_t *buf;
    size_t len, room, at, scanned;
    size_t part_len;
    int64_t complete; /* when the JPEG at `at` looked complete, for parts of unknown length */
    /* counts */
    uint64_t frames, bytes, window_frames, window_bytes;
    uint64_t stalls, torn, unstamped, repeated, missed, backwards;
    int64_t last_frame, max_gap, allowance;
    uint64_t last_seq;
};

static struct conn *conns;
static int conn_count, fast_count, epfd;
static int counting, quickack;
static int64_t begin_at, end_at, resume_at;
static uint32_t *latency; /* microseconds, of the viewers that are not slow */
static size_t latency_count, latency_room;
static int64_t ttff_max; /* connect to first frame */
static int64_t connect_at;
/* the slow viewers after they resumed: ages of what they get, ms */
static struct {
    uint64_t frames, stale, bytes;
    double first_age, worst_age, caught_up, torn;
} resumed = {.first_age = -1, .caught_up = -1};
/* the slow viewers while slow, in the second half of the count: their frames' ages, ms */
static double slow_ages[1 << 16];
static size_t slow_age_count;
static uint64_t gone_fast, gone_slow;
static int stopped_fast;

static uint32_t crc_table[256];

static uint32_t crc32c_plain(const uint8_t *p, size_t n)
{
    uint32_t crc = ~0u;
    while (n--)
        crc = crc_table[(crc ^ *p++) & 255] ^ crc >> 8;
    return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse(const uint8_t *p, size_t n)
{
    uint64_t crc = ~0u;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    while (n--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return ~(uint32_t)crc;
}
#endif

static uint32_t crc32c(const uint8_t *p, size_t n)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_sse(p, n);
#endif
    return crc32c_plain(p, n);
}

static uint64_t digits(const uint8_t *p, int n, int base)
{
    char text[24];
    memcpy(text, p, n);
    text[n] = 0;
    return strtoull(text, NULL, base);
}

static volatile sig_atomic_t finish;

static void on_signal(int number)
{
    (void)number;
    finish = 1;
}

static void gone(struct conn *c)
{
    if (c->state == GONE)
        return;
    close(c->fd);
    c->state = GONE;
    free(c->buf);
    c->buf = NULL;
    if (c->slow)
        gone_slow++;
    else
        gone_fast++;
}

static void got_frame(struct conn *c, const uint8_t *jpeg, size_t n, int64_t now)
{
    c->frames++;
    if (c->frames == 1 && !c->slow && now - connect_at > ttff_max)
        ttff_max = now - connect_at;
    int torn = n < 4 || jpeg[0] != 0xff || jpeg[1] != 0xd8 || jpeg[n - 2] != 0xff ||
               jpeg[n - 1] != 0xd9;
    int stamped = n > RIG_HEAD + RIG_TAIL && !memcmp(jpeg + 6, "RIG1", 4);
    int64_t age = -1;
    if (stamped && !torn) {
        uint64_t seq = digits(jpeg + 10, 10, 10);
        torn = digits(jpeg + n - 12, 10, 10) != seq || digits(jpeg + 48, 8, 10) != n ||
               digits(jpeg + 40, 8, 16) != crc32c(jpeg + RIG_HEAD, n - RIG_HEAD - RIG_TAIL);
        age = now - (int64_t)digits(jpeg + 20, 20, 10);
        if (counting && c->last_seq) {
            if (seq == c->last_seq)
                c->repeated++;
            else if (seq < c->last_seq)
                c->backwards++;
            else
                c->missed += seq - c->last_seq - 1;
        }
        c->last_seq = seq;
    }
    if (c->slow && counting && !c->reading && age >= 0 && now > begin_at / 2 + end_at / 2 &&
        slow_age_count < sizeof slow_ages / sizeof *slow_ages)
        slow_ages[slow_age_count++] = age / 1e6;
    if (c->slow && resume_at && now >= resume_at && c->reading) {
        double ms = age / 1e6;
        resumed.frames++;
        resumed.torn += torn;
        if (resumed.first_age < 0)
            resumed.first_age = ms;
        if (ms > resumed.worst_age)
            resumed.worst_age = ms;
        if (ms > 500)
            resumed.stale++;
        else if (resumed.caught_up < 0)
            resumed.caught_up = (now - resume_at) / 1e6;
    }
    if (counting) {
        c->window_frames++;
        c->torn += torn;
        c->unstamped += !stamped;
        int64_t since = c->last_frame > begin_at ? c->last_frame : begin_at;
        if (now - since > c->max_gap)
            c->max_gap = now - since;
        if (now - since > 500000000)
            c->stalls++;
        if (age >= 0 && !c->slow) {
            if (latency_count == latency_room) {
                latency_room = latency_room ? 2 * latency_room : 1 << 16;
                latency = realloc(latency, latency_room * sizeof *latency);
            }
            latency[latency_count++] = age / 1000;
        }
    }
    c->last_frame = now;
}

static const uint8_t *find(const uint8_t *from, const uint8_t *end, const char *what, size_t n)
{
    return from < end ? memmem(from, end - from, what, n) : NULL;
}

/* The value of a header in the lines [p, end), or NULL. */
static const char *header(const uint8_t *p, const uint8_t *end, const char *name, size_t *n)
{
    size_t name_len = strlen(name);
    while (p < end) {
        const uint8_t *eol = find(p, end, "\r\n", 2);
        if (!eol)
            eol = end;
        if ((size_t)(eol - p) > name_len && !strncasecmp((const char *)p, name, name_len) &&
            p[name_len] == ':') {
            p += name_len + 1;
            while (p < eol && *p == ' ')
                p++;
            *n = eol - p;
            return (const char *)p;
        }
        p = eol + 2;
    }
    return NULL;
}

static int read_header(struct conn *c)
{
    const uint8_t *end = find(c->buf, c->buf + c->len, "\r\n\r\n", 4);
    size_t n;
    if (!end)
        return 0;
    if (memcmp(c->buf, "HTTP/1.", 7) || memcmp(c->buf + 8, " 200", 4)) {
        fprintf(stderr, "mjload: %.*s\n", (int)(end - c->buf), c->buf);
        gone(c);
        return 0;
    }
    const char *type = header(c->buf, end, "Content-Type", &n);
    const char *b = type ? memmem(type, n, "boundary=", 9) : NULL;
    if (!b) {
        fprintf(stderr, "mjload: no boundary\n");
        gone(c);
        return 0;
    }
    b += 9;
    const char *stop = type + n;
    if (*b == '"')
        b++;
    c->boundary_len = 0;
    if (stop - b < 2 || b[0] != '-' || b[1] != '-')
        c->boundary_len = sprintf(c->boundary, "--");
    while (b < stop && *b != '"' && *b != ';' && *b != ' ' && c->boundary_len < 78)
        c->boundary[c->boundary_len++] = *b++;
    const char *coding = header(c->buf, end, "Transfer-Encoding", &n);
    c->chunked = coding && n >= 7 && !strncasecmp(coding, "chunked", 7);
    c->at = end + 4 - c->buf;
    c->state = PART;
    return 1;
}

/* Deals with all that is whole in the buffer. */
static void parse(struct conn *c, int64_t now)
{
    for (;;) {
        uint8_t *p = c->buf + c->at, *end = c->buf + c->len;
        if (c->state == PART) {
            const uint8_t *mark = find(p, end, c->boundary, c->boundary_len);
            const uint8_t *eoh = mark ? find(mark, end, "\r\n\r\n", 4) : NULL;
            size_t n;
            if (!eoh)
                break;
            const char *value = header(mark, eoh, "Content-Length", &n);
            c->at = eoh + 4 - c->buf;
            c->part_len = value ? strtoul(value, NULL, 10) : 0;
            c->state = value ? BODY : SCAN;
            c->scanned = c->at;
            c->complete = 0;
        } else if (c->state == BODY) {
            if ((size_t)(end - p) < c->part_len)
                break;
            got_frame(c, p, c->part_len, now);
            c->at += c->part_len;
            c->state = PART;
        } else { /* SCAN: the next boundary ends the part */
            const uint8_t *from = c->buf + c->scanned;
            const uint8_t *mark = find(from, end, c->boundary, c->boundary_len);
            if (!mark) {
                size_t back = end - from < 80 ? 0 : end - from - 80;
                c->scanned += back;
                const uint8_t *tail = end;
                while (tail > p && (tail[-1] == '\n' || tail[-1] == '\r'))
                    tail--;
                if (!c->complete && tail - p > RIG_HEAD && tail[-1] == 0xd9 && tail[-2] == 0xff)
                    c->complete = now;
                break;
            }
            size_t n = mark - p;
            if (n >= 2 && p[n - 2] == '\r' && p[n - 1] == '\n')
                n -= 2;
            got_frame(c, p, n, c->complete ? c->complete : now);
            c->at = mark - c->buf;
            c->state = PART;
        }
    }
    if (c->at == c->len) {
        c->len = c->at = 0;
    } else if (c->at > c->room / 2) {
        memmove(c->buf, c->buf + c->at, c->len - c->at);
        c->scanned -= c->at < c->scanned ? c->at : c->scanned;
        c->len -= c->at;
        c->at = 0;
    }
    if (!c->len)
        c->scanned = 0;
}

static void make_room(struct conn *c, size_t more)
{
    if (c->room - c->len < more) {
        if (c->at) {
            memmove(c->buf, c->buf + c->at, c->len - c->at);
            c->scanned -= c->at < c->scanned ? c->at : c->scanned;
            c->len -= c->at;
            c->at = 0;
        }
        if (c->room - c->len < more) {
            c->room = 2 * c->room + more;
            c->buf = realloc(c->buf, c->room);
        }
    }
}

/* Appends the payload of chunked data to the connection's buffer. */
static void dechunk(struct conn *c, const uint8_t *p, size_t n)
{
    while (n) {
        if (c->chunk_state == 0 || c->chunk_state == 2) { /* the size line, or before it */
            int h = *p >= '0' && *p <= '9'   ? *p - '0'
                    : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10
                    : *p >= 'A' && *p <= 'F' ? *p - 'A' + 10
                                             : -1;
            if (h >= 0) {
                c->chunk_left = c->chunk_left * 16 + h;
                c->chunk_state = 2;
            } else if (*p == '\n' && c->chunk_state == 2) {
                c->chunk_state = c->chunk_left ? 1 : 3;
            }
            p++, n--;
        } else if (c->chunk_state == 1) {
            size_t take = n < c->chunk_left ? n : c->chunk_left;
            make_room(c, take);
            memcpy(c->buf + c->len, p, take);
            c->len += take;
            p += take, n -= take;
            c->chunk_left -= take;
            if (!c->chunk_left)
                c->chunk_state = 0;
        } else {
            return; /* the last chunk has been */
        }
    }
}

/* Reads at most `most` bytes; returns what it read, 0 if there was nothing. */
static size_t take(struct conn *c, size_t most)
{
    static uint8_t scratch[1 << 18];
    ssize_t n;
    if (c->chunked) {
        n = recv(c->fd, scratch, most < sizeof scratch ? most : sizeof scratch, 0);
    } else {
        make_room(c, 1 << 16);
        size_t room = c->room - c->len;
        n = recv(c->fd, c->buf + c->len, most < room ? most : room, 0);
    }
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        gone(c);
        return 0;
    }
    int64_t now = rig_now();
    if (quickack)
        setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &quickack, sizeof quickack);
    c->bytes += n;
    if (counting)
        c->window_bytes += n;
    if (c->slow && resume_at && now >= resume_at)
        resumed.bytes += n;
    if (c->chunked)
        dechunk(c, scratch, n);
    else
        c->len += n;
    if (c->state == HEADER && read_header(c) && c->chunked) {
        size_t rest = c->len - c->at;
        memcpy(scratch, c->buf + c->at, rest);
        c->len = c->at = 0;
        dechunk(c, scratch, rest);
    }
    if (c->state >= PART && c->state < GONE)
        parse(c, now);
    return n;
}

static void watch(struct conn *c, int on)
{
    struct epoll_event e = {.events = on ? EPOLLIN : 0, .data.ptr = c};
    if (c->state != GONE)
        epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e);
    c->reading = on;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int by_value32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double cpu_seconds(const struct rusage *r)
{
    return r->ru_utime.tv_sec + r->ru_stime.tv_sec +
           (r->ru_utime.tv_usec + r->ru_stime.tv_usec) / 1e6;
}

static double percentile(const uint32_t *sorted, size_t count, double q)
{
    return count ? sorted[(size_t)((count - 1) * q)] / 1000.0 : -1.0;
}

static void tell_second(const struct rusage *before)
{
    static uint64_t told;
    static size_t from;
    struct rusage own;
    uint64_t frames = 0;
    for (int i = 0; i < fast_count; i++)
        frames += conns[i].window_frames;
    uint32_t *here = latency + from;
    size_t count = latency_count - from;
    qsort(here, count, sizeof *here, by_value32);
    getrusage(RUSAGE_SELF, &own);
    printf("SECOND %llu %.3f %.3f %.3f %.3f\n", (unsigned long long)(frames - told),
           cpu_seconds(&own) - cpu_seconds(before), percentile(here, count, 0.5),
           percentile(here, count, 0.99), percentile(here, count, 1.0));
    fflush(stdout);
    told = frames;
    from = latency_count;
}

int main(int argc, char **argv)
{
    int slow = 0, http10 = 0, rcvbuf = 0, ramp = 100;
    double ramp_s = 0, warmup = 2, seconds = 10, linger = 0, resume = 0, slow_rate = 0;
    char host[64] = "127.0.0.1", path[256] = "/";
    int port = 9000;
    for (int i = 1; i < argc; i++) {
        const char *o = argv[i], *v = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(o, "--http10")) {
            http10 = 1;
            continue;
        }
        i++;
        if (!strcmp(o, "--url")) {
            if (!strncmp(v, "http://", 7))
                v += 7;
            if (sscanf(v, "%63[^:/]:%d%255s", host, &port, path) < 2)
                return fprintf(stderr, "mjload: --url HOST:PORT/PATH\n"), 2;
        } else if (!strcmp(o, "--clients"))
            fast_count = atoi(v);
        else if (!strcmp(o, "--seconds"))
            seconds = atof(v);
        else if (!strcmp(o, "--warmup"))
            warmup = atof(v);
        else if (!strcmp(o, "--linger"))
            linger = atof(v);
        else if (!strcmp(o, "--quickack"))
            quickack = atoi(v);
        else if (!strcmp(o, "--slow"))
            slow = atoi(v);
        else if (!strcmp(o, "--slow-rate"))
            slow_rate = atof(v) * 1000;
        else if (!strcmp(o, "--slow-resume"))
            resume = atof(v);
        else if (!strcmp(o, "--rcvbuf"))
            rcvbuf = atoi(v);
        else if (!strcmp(o, "--ramp"))
            ramp = atoi(v);
        else
            return fprintf(stderr, "mjload: unknown option %s\n", o), 2;
    }
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t crc = n;
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        crc_table[n] = crc;
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (!strcmp(host, "localhost"))
        strcpy(host, "127.0.0.1");
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1 ||
        (ntohl(to.sin_addr.s_addr) >> 24 != 127 && ntohl(to.sin_addr.s_addr) >> 8 != 0x0a4d00))
        return fprintf(stderr, "mjload: only loopback addresses and 10.77.0.x, those of the link between namespaces\n"), 2;

    char request[512];
    int request_len = snprintf(request, sizeof request,
                               "GET %s HTTP/1.%d\r\nHost: %s:%d\r\nUser-Agent: mjload\r\n"
                               "Accept: */*\r\n\r\n",
                               path, !http10, host, port);
    conn_count = fast_count + slow;
    conns = calloc(conn_count, sizeof *conns);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event got[512];
    signal(SIGUSR1, on_signal);
    int started = 0, ready = 0;
    struct rusage own, before;
    int64_t start = rig_now(), tick = start, deadline = 0, second_at = 0;
    connect_at = start;
    enum { RAMP, WARM, COUNT, LINGER, DONE } phase = RAMP;

    while (phase != DONE) {
        int64_t now = rig_now();
        if (phase == RAMP) {
            ready = 0;
            for (int i = 0; i < started; i++)
                ready += conns[i].frames > 0 || conns[i].state == GONE;
            /* some at a time, lest the server's backlog overflow */
            while (started < conn_count && started - ready < ramp) {
                struct conn *c = &conns[started++];
                c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                if (c->fd < 0)
                    rig_die("socket");
                c->slow = started > fast_count;
                c->reading = 1;
                if (rcvbuf)
                    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
                struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
                epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &e);
                if (connect(c->fd, (void *)&to, sizeof to) && errno != EINPROGRESS)
                    gone(c);
            }
            if (ready == conn_count || now - start > 15000000000) {
                phase = WARM;
                deadline = now + (int64_t)(warmup * 1e9);
            }
        } else if (phase == WARM && now >= deadline) {
            phase = COUNT;
            stopped_fast = gone_fast;
            begin_at = now;
            second_at = now + 1000000000;
            ramp_s = (now - start) / 1e9 - warmup;
            getrusage(RUSAGE_SELF, &before);
            end_at = now + (int64_t)(seconds * 1e9);
            resume_at = resume ? now + (int64_t)(resume * 1e9) : 0;
            printf("BEGIN %lld\n", (long long)now);
            fflush(stdout);
            counting = 1;
            for (int i = fast_count; i < conn_count; i++)
                watch(&conns[i], 0);
        } else if (phase == COUNT && (finish || now >= end_at)) {
            phase = LINGER;
            counting = 0;
            end_at = now;
            deadline = now + (int64_t)(linger * 1e9);
            getrusage(RUSAGE_SELF, &own);
            printf("END %lld\n", (long long)now);
            fflush(stdout);
        } else if (phase == LINGER && now >= deadline) {
            phase = DONE;
        }
        if (phase == COUNT && now >= second_at) {
            tell_second(&before);
            second_at += 1000000000;
        }
        if (phase == COUNT && slow && now - tick >= 20000000) {
            for (int i = fast_count; i < conn_count; i++) {
                struct conn *c = &conns[i];
                if (c->state == GONE || c->reading)
                    continue;
                if (resume_at && now >= resume_at) {
                    watch(c, 1);
                } else if (slow_rate) {
                    c->allowance += slow_rate * (now - tick) / 1e9;
                    while (c->state != GONE && c->allowance > 0) {
                        size_t n = take(c, c->allowance);
                        c->allowance = n ? c->allowance - (int64_t)n : 0;
                    }
                }
            }
        }
        if (now - tick >= 20000000)
            tick = now;
        int n = epoll_wait(epfd, got, 512, 20);
        for (int i = 0; i < n; i++) {
            struct conn *c = got[i].data.ptr;
            if (c->state == GONE)
                continue;
            if (c->state == CONNECTING) {
                int error = 0;
                socklen_t size = sizeof error;
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
                if (error || send(c->fd, request, request_len, MSG_NOSIGNAL) != request_len) {
                    fprintf(stderr, "mjload: connect: %s\n", strerror(error));
                    gone(c);
                    continue;
                }
                c->state = HEADER;
                watch(c, 1);
            } else if (c->reading) {
                take(c, 1 << 20);
            } else if (got[i].events & (EPOLLERR | EPOLLHUP)) {
                gone(c);
            }
        }
    }

    double window = (end_at - begin_at) / 1e9;
    uint64_t *counts = calloc(fast_count + 1, sizeof *counts);
    uint64_t frames = 0, bytes = 0, stalls = 0, torn = 0, unstamped = 0, repeated = 0, missed = 0,
             backwards = 0, silent = 0, slow_bytes = 0, slow_frames = 0, slow_torn = 0;
    int64_t max_gap = 0;
    for (int i = 0; i < conn_count; i++) {
        struct conn *c = &conns[i];
        if (c->slow) {
            slow_bytes += c->window_bytes;
            slow_frames += c->window_frames;
            slow_torn += c->torn;
            continue;
        }
        counts[i] = c->window_frames;
        frames += c->window_frames;
        bytes += c->window_bytes;
        stalls += c->stalls;
        torn += c->torn;
        unstamped += c->unstamped;
        repeated += c->repeated;
        missed += c->missed;
        backwards += c->backwards;
        silent += c->window_frames == 0;
        int64_t gap = end_at - (c->last_frame > begin_at ? c->last_frame : begin_at);
        if (gap > c->max_gap)
            c->max_gap = gap;
        if (c->max_gap > max_gap)
            max_gap = c->max_gap;
    }
    qsort(counts, fast_count, sizeof *counts, by_value);
    qsort(latency, latency_count, sizeof *latency, by_value32);
    printf("{\"clients\": %d, \"slow\": %d, \"seconds\": %.3f, \"ready\": %d, \"ramp_s\": %.2f, "
           "\"frames\": %llu, \"bytes\": %llu, \"frames_min\": %llu, \"frames_median\": %llu, "
           "\"frames_max\": %llu, \"silent\": %llu, \"stalls\": %llu, \"max_gap_ms\": %.1f, "
           "\"torn\": %llu, \"unstamped\": %llu, \"repeated\": %llu, \"missed\": %llu, "
           "\"backwards\": %llu, \"gone\": %llu, \"latency_ms\": {\"samples\": %zu, \"p50\": %.3f, "
           "\"p99\": %.3f, \"max\": %.3f}, \"first_frame_ms_max\": %.1f, "
           "\"load_cpu_s\": %.3f, ",
           fast_count, slow, window, ready, ramp_s,
           (unsigned long long)frames, (unsigned long long)bytes,
           (unsigned long long)counts[0],
           (unsigned long long)(fast_count ? counts[fast_count / 2] : 0),
           (unsigned long long)(fast_count ? counts[fast_count - 1] : 0),
           (unsigned long long)silent, (unsigned long long)stalls, max_gap / 1e6,
           (unsigned long long)torn, (unsigned long long)unstamped, (unsigned long long)repeated,
           (unsigned long long)missed, (unsigned long long)backwards,
           (unsigned long long)gone_fast, latency_count,
           percentile(latency, latency_count, 0.5), percentile(latency, latency_count, 0.99),
           percentile(latency, latency_count, 1.0),
           ttff_max / 1e6,
           cpu_seconds(&own) - cpu_seconds(&before));
    qsort(slow_ages, slow_age_count, sizeof *slow_ages, by_double);
    printf("\"slow_viewers\": {\"age_ms\": %.1f, \"age_max_ms\": %.1f, ",
           slow_age_count ? slow_ages[slow_age_count / 2] : -1.0,
           slow_age_count ? slow_ages[slow_age_count - 1] : -1.0);
    printf("\"bytes\": %llu, \"frames\": %llu, \"torn\": %llu, \"gone\": %llu, "
           "\"resumed_frames\": %llu, \"resumed_bytes\": %llu, \"resumed_torn\": %.0f, "
           "\"stale_frames\": %llu, \"first_age_ms\": %.1f, \"worst_age_ms\": %.1f, "
           "\"caught_up_ms\": %.1f}}\n",
           (unsigned long long)slow_bytes, (unsigned long long)slow_frames,
           (unsigned long long)slow_torn, (unsigned long long)gone_slow,
           (unsigned long long)resumed.frames, (unsigned long long)resumed.bytes, resumed.torn,
           (unsigned long long)resumed.stale, resumed.first_age, resumed.worst_age,
           resumed.caught_up);
    return 0;
}
