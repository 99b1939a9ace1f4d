// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_config.c: a configuration file of any bytes: it is read, or every mistake comes with words.
 */
#include "tests/fuzz/fuzz.h"

#include "config/config.h"

#define ERRORS 16

/* Asked by the leak checker. */
const char *__lsan_default_suppressions(void);

/* libconfig forgets the strings that it has read when a mistake follows them. */
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yy\n";
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* What config.h promises of a configuration that was taken. */
static void check_config(const struct config *cfg)
{
	fuzz_check(cfg->portal_count >= 1);
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		const struct cfg_volume *v = &cfg->volumes[i];

		fuzz_check(v->name && v->store);
		fuzz_check(v->block_size == 512 || v->block_size == 4096);
		fuzz_check(v->layer_count <= CFG_LAYERS_MAX);
	}
	for (unsigned i = 0; i < cfg->target_count; i++) {
		const struct cfg_target *t = &cfg->targets[i];

		fuzz_check(t->name && strlen(t->name) <= 223);
		for (unsigned j = 0; j < t->lun_count; j++)
			fuzz_check(t->luns[j].lun <= CFG_LUN_MAX && t->luns[j].volume);
		for (unsigned j = 0; j < t->initiator_count; j++)
			fuzz_check(t->initiators[j].name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cfg_error errors[ERRORS];
	unsigned count = 0;
	struct config *cfg =
		cfg_read_text((const char *)data, size, "fuzz", errors, ERRORS, &count);

	if (cfg) {
		fuzz_check(count == 0);
		check_config(cfg);
		cfg_free(cfg);
		return 0;
	}
	fuzz_check(count >= 1);
	for (unsigned i = 0; i < count && i < ERRORS; i++)
		fuzz_check(errors[i].text[0] != '\0' &&
			   memchr(errors[i].text, 0, sizeof(errors[i].text)));
	return 0;
}
