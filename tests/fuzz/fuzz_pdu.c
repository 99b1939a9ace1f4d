// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_pdu.c: the bytes of one connection, from the first to the last.
 *
 * An input is a row of records: raw bytes, or PDUs whose lengths and numbers are put right so that
 * they get deep into the house, with pauses, short reads, full windows and breaks in between. What
 * comes back is cut into PDUs again and must be well formed. In the end nothing may be left.
 */
#include "tests/fuzz/world.h"

#include "target/iscsi/pdu.h"

#define XMIT_MAX 8192u /* our MaxRecvDataSegmentLength: we declare none */
#define DATA_MAX 4096u

enum start { START_RAW, START_LOGIN, START_DISCOVERY, START_DIGESTS };

/* Bits of a record's first byte when it is a PDU. */
enum fix { FIX_CMD_SN = 1, FIX_TTT = 2, FIX_LUN = 4, FIX_FINAL = 8, FIX_RUN = 16 };

static struct {
	struct sim_peer *peer;
	bool read_answers; /* until something makes the framing unknown */
	uint32_t cmd_sn, exp_stat_sn, ttt;
	uint32_t data_sn;
} us;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	world_get();
	return 0;
}

/* ---- what comes back ---- */

static void read_answer(const uint8_t *p, uint32_t data_len)
{
	const struct pdu_scsi_rsp *rsp =
		(const void *)p; /* the numbers' places are the same in all */
	uint8_t opcode = p[0] & PDU_OPCODE_MASK;

	fuzz_check(opcode >= 0x20 && !(p[0] & 0xc0));
	fuzz_check(p[4] == 0 && data_len <= XMIT_MAX);
	us.cmd_sn = be32_get(&rsp->exp_cmd_sn);
	us.exp_stat_sn = be32_get(&rsp->stat_sn) + 1;
	if (opcode == 0x31 || opcode == 0x24 || opcode == 0x20) {
		us.ttt = be32_get(&rsp->snack_tag);
		us.data_sn = 0;
	}
}

static void read_answers(void)
{
	const uint8_t *p;
	size_t left = sim_sent(us.peer, &p), used = 0;

	while (us.read_answers && left - used >= PDU_BHS_LEN) {
		uint32_t len =
			(uint32_t)p[used + 5] << 16 | (uint32_t)p[used + 6] << 8 | p[used + 7];
		size_t whole = PDU_BHS_LEN + ((len + 3) & ~3u);

		if (left - used < whole)
			break;
		read_answer(p + used, len);
		used += whole;
	}
	sim_take(us.peer, us.read_answers ? used : left);
}

static void turn(struct world *w)
{
	sim_run(w->loop);
	read_answers();
}

/* ---- what we send ---- */

static void log_in(enum start start)
{
	static const char normal[] = "InitiatorName=iqn.2026-11.kura.test:fuzzer\0"
				     "TargetName=" WORLD_TARGET "\0InitialR2T=No\0"
				     "MaxOutstandingR2T=4\0FirstBurstLength=4096\0";
	static const char discovery[] = "InitiatorName=iqn.2026-11.kura.test:fuzzer\0"
					"SessionType=Discovery\0";
	static const char digests[] = "InitiatorName=iqn.2026-11.kura.test:fuzzer\0"
				      "TargetName=" WORLD_TARGET "\0DataDigest=CRC32C\0";
	const char *text = start == START_LOGIN     ? normal
			   : start == START_DIGESTS ? digests
						    : discovery;
	size_t len = start == START_LOGIN     ? sizeof(normal) - 1
		     : start == START_DIGESTS ? sizeof(digests) - 1
					      : sizeof(discovery) - 1;
	uint8_t pdu[512] = { 0x43, 0x87 };

	pdu[6] = (uint8_t)(len >> 8);
	pdu[7] = (uint8_t)len;
	memcpy(pdu + 8, "\x00\x02\x3d\x00\x00\x01", 6);
	pdu[27] = 1;
	memcpy(pdu + PDU_BHS_LEN, text, len);
	sim_push(us.peer, pdu, PDU_BHS_LEN + ((len + 3) & ~(size_t)3));
}

static void put_be32(uint8_t *p, uint32_t v)
{
	be32_set((struct be32 *)(void *)p, v);
}

/* Puts right what the record's first byte says. */
static void fix_header(uint8_t *pdu, uint8_t fixes)
{
	uint8_t opcode = pdu[0] & PDU_OPCODE_MASK;

	if (fixes & FIX_CMD_SN) {
		put_be32(pdu + 24, us.cmd_sn);
		put_be32(pdu + 28, us.exp_stat_sn);
	}
	if (fixes & FIX_TTT) {
		put_be32(pdu + 20, us.ttt);
		put_be32(pdu + 36, us.data_sn++);
	}
	if (fixes & FIX_LUN)
		memset(pdu + 8, 0, opcode == 0x03 ? 0 : 8);
	if (fixes & FIX_FINAL)
		pdu[1] |= PDU_FINAL;
}

/* A PDU: header from the input, lengths that fit, data from the input and zeros behind it. */
static void send_pdu(struct world *w, struct fuzz_in *in, uint8_t fixes)
{
	uint8_t pdu[PDU_BHS_LEN + 64 + DATA_MAX + 4];
	unsigned ahs, len;

	fuzz_bytes(in, pdu, PDU_BHS_LEN);
	fix_header(pdu, fixes);
	ahs = pdu[4] & 0x80 ? (pdu[4] & 0x0f) * 4u : 0;
	len = ((unsigned)pdu[6] << 8 | pdu[7]) % (DATA_MAX + 1);
	pdu[4] = (uint8_t)(ahs / 4);
	pdu[5] = 0;
	pdu[6] = (uint8_t)(len >> 8);
	pdu[7] = (uint8_t)len;
	fuzz_bytes(in, pdu + PDU_BHS_LEN, ahs);
	memset(pdu + PDU_BHS_LEN + ahs, 0, len + 4);
	fuzz_bytes(in, pdu + PDU_BHS_LEN + ahs, len < 64 ? len : 64);
	sim_push(us.peer, pdu, PDU_BHS_LEN + ahs + ((len + 3) & ~3u));
	if (fixes & FIX_RUN)
		turn(w);
}

static void send_raw(struct fuzz_in *in, size_t len)
{
	uint8_t bytes[256];

	fuzz_bytes(in, bytes, len);
	sim_push(us.peer, bytes, len);
}

/* One record. False: the connection is at its end. */
static bool record(struct world *w, struct fuzz_in *in)
{
	uint8_t kind = fuzz_u8(in);

	if (kind < 0xa0) {
		send_pdu(w, in, kind & 0x1f);
		return true;
	}
	switch (kind & 0x0f) {
	case 0:
		sim_chunk(us.peer, fuzz_u8(in));
		break;
	case 1:
		sim_window(us.peer, fuzz_u16(in));
		break;
	case 2:
		sim_window(us.peer, SIZE_MAX);
		break;
	case 3:
		sim_advance(w->loop, fuzz_u16(in));
		read_answers();
		break;
	case 4:
		sim_peer_break(us.peer, ECONNRESET);
		return false;
	case 5:
		return false;
	default:
		send_raw(in, fuzz_u8(in));
		break;
	}
	if (kind & 0x10)
		turn(w);
	return true;
}

/* The connection goes, and with it the session, its tasks and its memory. */
static void hang_up(struct world *w)
{
	sim_window(us.peer, SIZE_MAX);
	sim_chunk(us.peer, 0);
	sim_peer_eof(us.peer);
	for (int i = 0; i < 100 && !sim_peer_closed(us.peer); i++) {
		turn(w);
		sim_advance(w->loop, 1000);
	}
	read_answers();
	fuzz_check(sim_peer_closed(us.peer));
	sim_run(w->loop);
	fuzz_check(iscsi_server_load(w->srv, 0) == 0);
	sim_peer_free(us.peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = world_get();
	struct fuzz_in in = { data, size };
	enum start start = (enum start)(fuzz_u8(&in) & 3);
	int fd;

	memset(&us, 0, sizeof(us));
	us.peer = sim_stream(w->loop, &fd);
	us.read_answers = start == START_LOGIN || start == START_DISCOVERY;
	us.cmd_sn = 1;
	int place = iscsi_server_expect(w->srv, 0, fd);

	fuzz_check(place >= 0);
	iscsi_server_adopt(w->srv, w->loop, fd, place);
	if (start != START_RAW) {
		log_in(start);
		turn(w);
	}
	while (in.left > 0 && record(w, &in))
		;
	turn(w);
	hang_up(w);
	return 0;
}
