/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opts.h: what the user of the generator asks for.
 */
#ifndef KURA_TESTS_BENCH_OPTS_H
#define KURA_TESTS_BENCH_OPTS_H

#include <stdbool.h>
#include <stdint.h>

struct opts {
	char host[128];        /* where the portal is */
	char port[16];         /* its port, as text */
	const char *target;    /* target name */
	const char *initiator; /* our name */
	unsigned int lun;      /* 0..16383 */
	uint64_t block_bytes;  /* bytes per command, a multiple of 512 */
	uint64_t range_bytes;  /* how much of the disk to use; 0: all of it */
	unsigned int depth;    /* commands in flight per session */
	unsigned int sessions; /* sessions over all threads */
	unsigned int threads;  /* generator threads */
	unsigned int read_pct; /* reads among 100 commands */
	bool sequential;       /* in order, else at random */
	bool cdb16;            /* READ(16) and WRITE(16) always */
	double seconds;        /* measured time */
	double warmup;         /* time before that */
	double patience;       /* seconds without an answer before giving up */
	bool fill;             /* write the whole range first */
	bool verify;           /* stamp what is written, check what is read */
	uint64_t seed;         /* of places and stamps */
	unsigned int pid;      /* the target's process, or 0 */
	bool spin;             /* never sleep while waiting for the target */
	bool json;             /* report as one JSON object */
	bool header_digest;    /* ask for CRC32C */
	bool data_digest;      /* ask for CRC32C */
	bool immediate;        /* ask for ImmediateData=Yes */
	bool initial_r2t;      /* ask for InitialR2T=Yes */
	uint32_t max_recv;     /* our MaxRecvDataSegmentLength */
	uint32_t max_burst;    /* MaxBurstLength to ask for */
	uint32_t first_burst;  /* FirstBurstLength to ask for */
	unsigned int max_r2t;  /* MaxOutstandingR2T to ask for */
};

/* Fills `o` from the command line; the strings of `argv` are *kept*. Returns 0, or 1 after --help,
 * or -EINVAL after a line on stderr. */
int opts_parse(struct opts *o, int argc, char **argv);

#endif
