/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h: the configuration as plain structs: what an administrator wrote, checked, with the
 * defaults filled in and nothing opened yet.
 *
 * Each object remembers file and line, so that whoever finds it impossible later can say where it
 * was written. All memory belongs to the struct config.
 */
#ifndef KURA_CONFIG_CONFIG_H
#define KURA_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CFG_LUN_MAX     16383u /* the largest that flat addressing can name */
#define CFG_PORTALS_MAX 256u
#define CFG_MANAGED_MAX (16u << 20) /* bytes that verbs may have made in the managed file */
#define CFG_LUNS_MAX    256u        /* of a target */
#define CFG_LAYERS_MAX  5u          /* of a volume, without the store */

/* One mistake, ready to be shown: "file:line: key: what is wrong; what would be right". */
struct cfg_error {
	char text[1024];
};

struct cfg_where {
	const char *file; /* path as opened */
	unsigned line;    /* 1.. ; 0: a default */
};

struct cfg_portal {
	struct cfg_where where;
	char *address;   /* numeric IPv4 or IPv6, or "*": every address of both */
	uint16_t port;   /* default 3260; 0: the kernel chooses (tests) */
	uint16_t group;  /* portal group tag; default 1 */
	char *advertise; /* "192.0.2.7:3260", told instead of its own address; or NULL */
};

enum cfg_cache { CFG_CACHE_BUFFERED, CFG_CACHE_DIRECT };

/* How fast a volume may be used: what it may do in a second; 0: no limit. */
struct cfg_limit {
	struct cfg_where where;
	uint64_t iops, bytes; /* of reads and writes together */
	uint64_t read_iops, read_bytes;
	uint64_t write_iops, write_bytes;
	uint32_t burst_ms; /* what was not used is kept for so long */
};

struct cfg_layer {
	char *kind;    /* "error", "delay", "stats", "crypt" */
	char *options; /* "key=value ..." */
};

/* Where volumes are made: volume/pool.h. */
struct cfg_pool {
	struct cfg_where where;
	char *name;                /* unique */
	char *kind;                /* "dir", "lvm", "lvm-thin", "block" */
	char *path;                /* dir, block; or NULL */
	char *vg;                  /* lvm, lvm-thin; or NULL */
	char *thin_pool;           /* lvm-thin; or NULL */
	unsigned snapshot_percent; /* lvm */
	unsigned low_water;        /* percent used; 0: none; default 80 */
	unsigned extend_at;        /* lvm-thin: percent used; 0: never */
	uint64_t extend_by;        /* bytes; 0: a fifth */
	uint64_t extend_max;       /* bytes; 0: no limit */
	char *lvm_config;          /* or NULL */
	char *lvm_devices;         /* or NULL */
};

struct cfg_volume {
	struct cfg_where where;
	char *name;                   /* unique */
	char *store;                  /* "file", "block", "mem", "null"; NULL: in a pool */
	char *pool;                   /* name of its pool, or NULL */
	char *path;                   /* or NULL */
	uint64_t size;                /* bytes; 0: as it is */
	uint32_t block_size;          /* 512 or 4096 */
	uint32_t physical_block_size; /* 0: the store's own */
	enum cfg_cache cache;
	bool readonly;
	bool removable; /* told by INQUIRY */
	bool thin;  /* tell initiators that UNMAP is welcome, where the store can; default true */
	char *uuid; /* or NULL */
	struct cfg_limit *limit; /* or NULL */
	struct cfg_layer *layers;
	unsigned layer_count;
};

/* CHAP: what somebody who comes has to prove, and what we prove in turn. */
struct cfg_auth {
	struct cfg_where where;
	char *user;
	char *secret;             /* from here or from secret_file; wiped when freed */
	char *secret_file;        /* or NULL */
	char *mutual_user;        /* NULL: we do not prove ourselves */
	char *mutual_secret;      /* from here or from mutual_secret_file; the same */
	char *mutual_secret_file; /* or NULL */
	char *algorithms;         /* words, best first */
};

struct cfg_lun {
	struct cfg_where where;
	uint16_t lun;   /* 0..16383 */
	char *volume;   /* name of a volume of this config */
	bool readonly;  /* this mapping only */
	char *vendor;   /* up to 8 printable; default "KURA" */
	char *product;  /* up to 16; default "VOLUME" */
	char *revision; /* up to 4; default "0001" */
	char *serial;   /* unit serial; NULL: from the UUID */
	char *naa;      /* 16 or 32 hex digits; NULL: from the UUID */
};

struct cfg_initiator {
	struct cfg_where where;
	char *name;            /* exact, lower case; or a beginning and "*" */
	char *addresses;       /* "10.0.0.0/8 2001:db8::/32": where it must come from; or NULL */
	struct cfg_auth *auth; /* or NULL: the host group's, or the target's */
};

/* A host group: initiators that see the same. */
struct cfg_host {
	struct cfg_where where;
	char *name; /* unique */
	struct cfg_initiator *initiators;
	unsigned initiator_count;
	struct cfg_auth *auth; /* or NULL: the target's */
};

/* A host group that may use a target. */
struct cfg_access {
	struct cfg_where where;
	char *host;           /* name of a host group of this config */
	struct cfg_lun *luns; /* what it sees; none: the target's own */
	unsigned lun_count;
};

/* Where initiators of a target are sent to instead. */
struct cfg_redirect {
	struct cfg_where where;
	char *address;  /* "192.0.2.7:3260" */
	bool permanent; /* they are to remember it */
};

/* The name server that is told which targets are here (iSNS). */
struct cfg_isns {
	struct cfg_where where;
	char *server;             /* "192.0.2.5:3205" */
	char *entity;             /* what it calls us; or NULL */
	unsigned refresh_seconds; /* between two looks whether it knows us; default 300 */
};

struct cfg_target {
	struct cfg_where where;
	char *name;                    /* iqn., eui. or naa. name, normalised */
	char *alias;                   /* or NULL */
	struct cfg_auth *auth;         /* or NULL: no secret is asked for */
	struct cfg_redirect *redirect; /* or NULL */
	char *portal_groups;           /* tags, "1 2": only by these portals; NULL: by all */
	struct cfg_lun *luns;
	unsigned lun_count;
	struct cfg_initiator *initiators; /* who sees these LUNs */
	unsigned initiator_count;
	struct cfg_access *access; /* who sees others; looked at first */
	unsigned access_count;
};

struct config {
	char *file;
	struct cfg_portal *portals; /* at least one */
	unsigned portal_count;
	struct cfg_pool *pools;
	unsigned pool_count;
	struct cfg_volume *volumes;
	unsigned volume_count;
	struct cfg_target *targets;
	unsigned target_count;
	struct cfg_host *hosts;
	unsigned host_count;
	struct cfg_auth *discovery_auth; /* or NULL: no secret is asked for */
	struct cfg_isns *isns;           /* or NULL: nobody is told */
	unsigned loops;                  /* 0: one per core */
	char *engine;                    /* "auto", "uring", "aio" */
	char *metrics;                   /* "address:port" where Prometheus is answered, or NULL */
	char *log_level;                 /* "error", "warn", "info", "debug" */
	unsigned stop_seconds;           /* bound of a clean stop; default 10 */
	unsigned max_connections;        /* all connections; default 1024 */
	unsigned max_logins;             /* of them, not logged in yet; default 256 */
	unsigned max_logins_per_address; /* default 128 */
	unsigned max_sessions;           /* default 1024 */
	unsigned max_tasks;              /* commands under way; default 32768 */
	unsigned max_text;               /* bytes of keys in one login or text; default 65536 */
	uint64_t memory;                 /* bytes of data buffers; 0: 64 MiB for each loop */
	unsigned login_seconds;          /* default 15 */
	unsigned logout_seconds;         /* default 15 */
	unsigned discovery_seconds;      /* an idle discovery session; default 60 */
	unsigned stall_seconds;          /* in the middle of something; default 60 */
	unsigned ping_seconds;           /* NOP-In after so long a silence; 0: never; default 20 */
	unsigned ping_timeout_seconds;   /* then so long for the answer; default 10 */
	unsigned max_connections_per_session; /* 1 to 4; default 1 */
	unsigned queue_depth;                 /* CmdSN window per session, default 128 */
	unsigned max_burst_length;            /* bytes, default 1048576 */
	unsigned first_burst_length;          /* bytes, default 262144 */
	unsigned max_outstanding_r2t;         /* default 8 */
	char *target_prefix;                  /* of targets that verbs name; or NULL */
	char **files; /* every file that was read; struct cfg_where points here */
	unsigned file_count;
	const char *managed;        /* of files: the one that verbs write; NULL: read without one */
	struct cfg_error *warnings; /* what is allowed but hardly meant, to be shown to a person */
	unsigned warning_count;
};

/*
 * Reads and checks `path`, and what it includes (only from its own directory). Returns owned, or
 * NULL with all the mistakes found (up to `max`) in `errors` and their number in *count. Nothing is
 * opened but these files and those that hold secrets. Any thread.
 */
struct config *cfg_read(const char *path, struct cfg_error *errors, unsigned max, unsigned *count);

/*
 * As cfg_read, with what verbs made and keep in `managed`, which need not be there: its portals,
 * volumes, targets and so on follow those of `path`, and the whole is checked together.
 */
struct config *cfg_read_both(const char *path, const char *managed, struct cfg_error *errors,
	unsigned max, unsigned *count);

/* As cfg_read, from `len` bytes of text that call themselves `name`. */
struct config *cfg_read_text(const char *text, size_t len, const char *name,
	struct cfg_error *errors, unsigned max, unsigned *count);

/* Frees it with everything in it; NULL is fine. Takes it. */
void cfg_free(struct config *cfg);

#endif
