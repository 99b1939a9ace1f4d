/* SPDX-License-Identifier: Apache-2.0 */
/* One function per type of field. */
#include "tools/fmt.h"

#include "common/own.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void fmt_bytes(uint64_t bytes, char *out)
{
	static const char units[] = "KMGTPE";
	unsigned step = 0;
	double n = (double)bytes;

	while (n >= 1023.95 && step < 6) {
		n /= 1024;
		step++;
	}
	if (!step)
		snprintf(out, 24, "%llu", (unsigned long long)bytes);
	else if (n < 99.95 && (unsigned)(n * 10 + 0.5) % 10)
		snprintf(out, 24, "%.1f%c", n, units[step - 1]);
	else
		snprintf(out, 24, "%.0f%c", n, units[step - 1]);
}

static char *seconds(uint64_t s)
{
	if (s < 120)
		return own_printf("%llus", (unsigned long long)s);
	if (s < 7200)
		return own_printf(
			"%llum%02llus", (unsigned long long)s / 60, (unsigned long long)s % 60);
	if (s < 172800)
		return own_printf("%lluh%02llum", (unsigned long long)s / 3600,
			(unsigned long long)s / 60 % 60);
	return own_printf(
		"%llud%02lluh", (unsigned long long)s / 86400, (unsigned long long)s / 3600 % 24);
}

static char *nanoseconds(uint64_t ns)
{
	if (ns < 10000000)
		return own_printf("%.0fus", (double)ns / 1e3);
	return own_printf("%.0fms", (double)ns / 1e6);
}

static char *bytes(uint64_t n)
{
	char text[24];

	fmt_bytes(n, text);
	return own_strdup(text);
}

/* The items of a list, or of one object "key=value", with commas between; objects of a list with
 * blanks. */
static char *joined(const struct jval *v)
{
	char *out = own_strdup("");

	for (unsigned i = 0; i < jval_count(v); i++) {
		char *before own_free = out;
		char *item own_free = fmt_value(RPC_FIELD_TEXT, jval_item(v, i));

		out = own_printf("%s%s%s", before,
			!i                                          ? ""
			: jval_kind(jval_item(v, i)) == JVAL_OBJECT ? " "
								    : ",",
			item);
	}
	for (const char *k = jval_next_key(v, NULL); k && jval_kind(v) == JVAL_OBJECT;
		k = jval_next_key(v, k)) {
		char *before own_free = out;
		char *item own_free = fmt_value(RPC_FIELD_TEXT, jval_get(v, k));

		out = own_printf("%s%s%s=%s", before, *before ? "," : "", k, item);
	}
	return out;
}

char *fmt_value(enum rpc_field_type type, const struct jval *v)
{
	switch (jval_kind(v)) {
	case JVAL_FLAG:
		return own_strdup(jval_flag(v) ? "yes" : "no");
	case JVAL_TEXT:
		return own_strdup(*jval_text(v) ? jval_text(v) : "-");
	case JVAL_REAL:
		return own_printf("%.1f", jval_real(v));
	case JVAL_LIST:
	case JVAL_OBJECT:
		return jval_count(v) || jval_members(v) > 0 ? joined(v) : own_strdup("-");
	case JVAL_NUMBER:
		break;
	default:
		return own_strdup("-");
	}
	switch (type) {
	case RPC_FIELD_BYTES:
		return bytes((uint64_t)jval_number(v));
	case RPC_FIELD_SECONDS:
		return seconds((uint64_t)jval_number(v));
	case RPC_FIELD_NS:
		return nanoseconds((uint64_t)jval_number(v));
	default:
		return own_printf("%lld", (long long)jval_number(v));
	}
}

static const struct {
	const char *end; /* of a name */
	enum rpc_field_type type;
} units[] = {
	{ "_bytes", RPC_FIELD_BYTES },
	{ "_seconds", RPC_FIELD_SECONDS },
	{ "_ns", RPC_FIELD_NS },
};

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n > e && !strcmp(name + n - e, end);
}

/* "size_bytes", or just "bytes". */
static bool has_unit(const char *name, const char *end)
{
	return ends_with(name, end) || !strcmp(name, end + 1);
}

enum rpc_field_type fmt_guess(const char *name, const struct jval *v)
{
	for (unsigned i = 0; i < own_array_len(units); i++) {
		if (has_unit(name, units[i].end))
			return units[i].type;
	}
	return jval_kind(v) == JVAL_NUMBER ? RPC_FIELD_NUMBER : RPC_FIELD_TEXT;
}

char *fmt_heading(const char *name, bool table)
{
	char *out = own_strdup(name);

	for (unsigned i = 0; i < own_array_len(units); i++) {
		if (ends_with(out, units[i].end))
			out[strlen(out) - strlen(units[i].end)] = '\0';
	}
	for (char *p = out; *p; p++) {
		if (*p == '_')
			*p = ' ';
		else if (table || p == out)
			*p = (char)toupper((unsigned char)*p);
	}
	return out;
}

bool fmt_is_right(enum rpc_field_type type)
{
	return type == RPC_FIELD_NUMBER || type == RPC_FIELD_BYTES || type == RPC_FIELD_SECONDS ||
	       type == RPC_FIELD_NS;
}
