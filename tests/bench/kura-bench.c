/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kura-bench: an iSCSI initiator that makes load and checks data. It takes every answer that one
 * recv brings and sends all the commands that follow from them with one sendmsg, so that it costs
 * less than the target it measures.
 *
 * It ends with 0 when every command was answered GOOD (and, with --verify, every byte was right),
 * else with 1 after a line on stderr.
 */
#include "tests/bench/crc.h"
#include "tests/bench/opts.h"
#include "tests/bench/report.h"
#include "tests/bench/run.h"
#include "tests/bench/sess.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
	static struct result r;
	struct opts o;
	int err = opts_parse(&o, argc, argv);

	if (err)
		return err < 0 ? 2 : 0;
	if (!o.seed)
		o.seed = sess_now_ns();
	crc_init();
	if (run_load(&o, &r))
		return 1;
	report_print(&o, &r);
	return 0;
}
