/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_texts.h: what the tests of the configuration share: texts that are good, texts that are
 * not and what is said to them, and files in a folder of their own.
 */
#ifndef KURA_TESTS_UNIT_CONFIG_TEXTS_H
#define KURA_TESTS_UNIT_CONFIG_TEXTS_H

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MAX_ERRORS 32

/* The relative path of the folder. */
extern char folder[];

/* Reads `text`, which has no mistake. Returns owned. */
struct config *good(const char *text);

/* Reads `text`, wants the mistakes in `want`, one a line. */
void bad(const char *text, const char *want);

/* The same for a part inside of an otherwise good text, in place of its '@'. */
void bad_in(const char *form, const char *part, const char *want);

/* Makes the folder, and takes it away: set-up and tear-down of a group. */
int make_folder(void **state);
int remove_folder(void **state);

/* Writes a file in the folder. */
void write_file(const char *name, const char *text);

/* Reads main.conf; wants so many mistakes and the first one behind the folder's name. */
struct config *read_main(unsigned want, const char *message);

#endif
