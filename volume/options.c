// SPDX-License-Identifier: Apache-2.0
/*
 * options.c: the text of a layer's options. Words are parted by blanks; a key may come again, and
 * then the last one holds.
 */
#include "volume/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Every form of the table in one line. */
static void options_forms(const struct options_key *keys, unsigned n, char *text, size_t len)
{
	size_t used = 0;

	for (unsigned i = 0; i < n && used < len; i++)
		used += (size_t)snprintf(
			text + used, len - used, "%s%s", i ? " " : "", keys[i].form);
}

static int options_take(struct vol_part *part, const struct options_key *keys, unsigned n,
	const char *word, size_t len)
{
	const char *eq = memchr(word, '=', len);
	char value[OPTIONS_VALUE_MAX + 1] = "";
	size_t name_len = eq ? (size_t)(eq - word) : len;
	size_t value_len = eq ? len - name_len - 1 : 0;

	if (!value_len || value_len > OPTIONS_VALUE_MAX)
		return -EINVAL;
	memcpy(value, eq + 1, value_len);
	for (unsigned i = 0; i < n; i++)
		if (strlen(keys[i].name) == name_len && !memcmp(keys[i].name, word, name_len))
			return keys[i].take(part, value);
	return -EINVAL;
}

int options_parse(
	struct vol_setup *setup, struct vol_part *part, const struct options_key *keys, unsigned n)
{
	const char *p = setup->options + strspn(setup->options, " \t");
	char forms[200];

	while (*p) {
		size_t len = strcspn(p, " \t");

		if (options_take(part, keys, n, p, len)) {
			options_forms(keys, n, forms, sizeof forms);
			return vol_refuse(setup, -EINVAL,
				"volume %s: layer \"%s\" does not understand \"%.*s\"; it takes %s",
				setup->conf->name, part->ops->kind, (int)(len < 64 ? len : 64), p,
				forms);
		}
		p += len;
		p += strspn(p, " \t");
	}
	return 0;
}

int options_ops(const char *text, uint32_t *ops)
{
	static const char *const names[VOL_OP_COUNT] = {
		[VOL_READ] = "read",
		[VOL_WRITE] = "write",
		[VOL_FLUSH] = "flush",
		[VOL_TRIM] = "trim",
		[VOL_ZERO] = "zero",
		[VOL_EXTENTS] = "extents",
	};
	uint32_t found = 0;

	if (!strcmp(text, "any")) {
		*ops = (1u << VOL_OP_COUNT) - 1;
		return 0;
	}
	for (;;) {
		size_t len = strcspn(text, ",");
		unsigned i = 0;

		while (i < VOL_OP_COUNT && (strlen(names[i]) != len || memcmp(names[i], text, len)))
			i++;
		if (i == VOL_OP_COUNT)
			return -EINVAL;
		found |= 1u << i;
		if (!text[len])
			break;
		text += len + 1;
	}
	*ops = found;
	return 0;
}
