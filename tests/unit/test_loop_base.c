// SPDX-License-Identifier: Apache-2.0
/*
 * test_loop_base.c: turns, timers, posts, hooks and data buffers, on every engine.
 */
#include "tests/unit/test_loop.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- timers ---- */

struct alarm {
	struct loop_timer t;
	uint64_t due_ns, ran_ns; /* should not be before, was at */
	unsigned ran, again;     /* times; sets itself so often again */
	uint32_t ms;
	unsigned *order; /* counts all that ran */
	unsigned place;
	struct alarm *victim; /* cancelled by this one */
};

static void alarm_run(struct loop_timer *timer)
{
	struct alarm *a = container_of(timer, struct alarm, t);
	struct loop *loop = loop_self();

	assert_int_equal(timer->due_ns, 0);
	a->ran++;
	a->ran_ns = loop_now_ns(loop);
	a->place = (*a->order)++;
	if (a->victim)
		loop_timer_cancel(loop, &a->victim->t);
	if (a->again) {
		a->again--;
		loop_timer_set(loop, timer, a->ms);
	}
}

static void alarm_set(struct fx *fx, struct alarm *a, uint32_t ms, unsigned *order)
{
	memset(a, 0, sizeof *a);
	a->ms = ms;
	a->order = order;
	loop_timer_init(&a->t, alarm_run);
	loop_timer_set(fx->loop, &a->t, ms);
	a->due_ns = loop_now_ns(fx->loop) + ms * 1000000ull;
}

static void test_timers_in_order_and_never_early(struct fx *fx)
{
	static const uint32_t ms[] = { 90, 0, 30, 60, 1 };
	struct alarm a[5];
	unsigned ran = 0;

	for (unsigned i = 0; i < 5; i++)
		alarm_set(fx, &a[i], ms[i], &ran);
	assert_int_equal(ran, 0);
	turn_until(fx, &ran, 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(a[i].ran, 1);
		assert_true(a[i].ran_ns >= a[i].due_ns);
		if (fx->id == LOOP_ENGINE_SIM)
			assert_true(a[i].ran_ns < a[i].due_ns + 10000000);
	}
	assert_true(a[2].place < a[3].place && a[3].place < a[0].place);
	assert_true(loop_wait_ns(fx->loop) == -1);
}

static void test_timers_moved_and_cancelled(struct fx *fx)
{
	struct alarm moved, gone, killer, victim;
	unsigned ran = 0;

	alarm_set(fx, &moved, 10, &ran);
	loop_timer_set(fx->loop, &moved.t, 80);
	moved.due_ns = loop_now_ns(fx->loop) + 80000000;
	alarm_set(fx, &gone, 20, &ran);
	loop_timer_cancel(fx->loop, &gone.t);
	loop_timer_cancel(fx->loop, &gone.t); /* harmless */
	alarm_set(fx, &killer, 30, &ran);
	alarm_set(fx, &victim, 30, &ran); /* the same slot, after it */
	killer.victim = &victim;
	turn_until(fx, &moved.ran, 1);
	assert_true(moved.ran_ns >= moved.due_ns);
	turn_for(fx, 10);
	assert_int_equal(gone.ran + victim.ran, 0);
	assert_int_equal(ran, 2);
}

static void test_timer_sets_itself_again(struct fx *fx)
{
	struct alarm a;
	unsigned ran = 0;

	alarm_set(fx, &a, 10, &ran);
	a.again = 4;
	turn_until(fx, &ran, 5);
	turn_for(fx, 40);
	assert_int_equal(a.ran, 5);
}

/* Hours, and rounds of the wheel, in simulated time; and how long the loop would sleep. */
static void test_timers_far_away(struct fx *fx)
{
	static const uint32_t ms[] = { 4290, 4400, 8600, 60000, 3600000, UINT32_MAX };
	struct alarm a[6];
	unsigned ran = 0;

	for (unsigned i = 0; i < 6; i++)
		alarm_set(fx, &a[i], ms[i], &ran);
	for (unsigned i = 0; i < 6; i++) {
		int64_t left = (int64_t)(a[i].due_ns - loop_now_ns(fx->loop));

		sim_advance(fx->loop, (uint32_t)(left / 1000000) - 10);
		assert_int_equal(a[i].ran, 0);
		assert_true(sim_next_timer_ms(fx->loop) <= 20);
		sim_advance(fx->loop, 20);
		assert_int_equal(a[i].ran, 1);
		assert_true(a[i].ran_ns >= a[i].due_ns && a[i].ran_ns < a[i].due_ns + 10000000);
	}
	assert_int_equal(sim_next_timer_ms(fx->loop), -1);
}

/* The wheel agrees with a plain list of due times, whatever is set, moved and cancelled. */
static void test_timers_at_random(struct fx *fx)
{
	static struct alarm a[200];
	unsigned ran = 0, seed = 1;

	for (unsigned i = 0; i < 200; i++)
		alarm_set(fx, &a[i], 1000000, &ran);
	for (unsigned round = 0; round < 3000; round++) {
		struct alarm *one = &a[(seed = seed * 1103515245u + 12345u) >> 8 & 127];
		uint32_t ms = (seed >> 16) % (round % 10 ? 300 : 20000);

		loop_timer_set(fx->loop, &one->t, ms);
		one->due_ns = loop_now_ns(fx->loop) + ms * 1000000ull;
		one->ran = 0;
		sim_advance(fx->loop, seed >> 4 & 31);
		for (unsigned i = 0; i < 200; i++) {
			if (a[i].ran)
				assert_true(a[i].ran_ns >= a[i].due_ns);
			else
				assert_true(loop_now_ns(fx->loop) < a[i].due_ns + 10000000);
		}
	}
	for (unsigned i = 0; i < 200; i++)
		loop_timer_cancel(fx->loop, &a[i].t);
	assert_int_equal(sim_next_timer_ms(fx->loop), -1);
}

/* ---- hooks ---- */

struct hooked {
	struct loop_hook h;
	unsigned ran, again;
	struct loop *loop;
};

static void hooked_run(struct loop_hook *hook)
{
	struct hooked *k = container_of(hook, struct hooked, h);

	k->ran++;
	if (k->again) {
		k->again--;
		loop_turn_end(k->loop, hook);
	}
}

static void test_hooks_run_once_at_turn_end(struct fx *fx)
{
	struct hooked a = { .loop = fx->loop }, b = a, c = a;

	loop_hook_init(&a.h, hooked_run);
	loop_hook_init(&b.h, hooked_run);
	loop_hook_init(&c.h, hooked_run);
	loop_turn_end(fx->loop, &a.h);
	loop_turn_end(fx->loop, &a.h); /* armed already */
	loop_turn_end(fx->loop, &b.h);
	loop_hook_cancel(&b.h);
	loop_hook_cancel(&b.h);
	c.again = 20; /* more often than one turn goes round */
	loop_turn_end(fx->loop, &c.h);
	assert_int_equal(a.ran, 0);
	turn_until(fx, &c.ran, 21);
	turn_for(fx, 10);
	assert_int_equal(a.ran, 1);
	assert_int_equal(b.ran, 0);
	assert_int_equal(c.ran, 21);
}

/* ---- finished requests ---- */

struct quick {
	struct loop_io io;
	unsigned done, again;
	struct loop *loop;
	bool inside;
};

static void quick_done(struct loop_io *io, int res)
{
	struct quick *q = container_of(io, struct quick, io);

	assert_false(q->inside);
	assert_int_equal(res, -EIO);
	q->done++;
	if (q->again) {
		q->again--;
		q->inside = true;
		loop_io_finish(q->loop, io, res);
		q->inside = false;
	}
}

static void test_finished_comes_later_once(struct fx *fx)
{
	struct quick q = { .io.done = quick_done, .again = 100, .loop = fx->loop };
	uint64_t before;

	loop_io_finish(fx->loop, &q.io, -EIO);
	assert_int_equal(q.done, 0);
	turn_until(fx, &q.done, 101);
	before = q.done;
	turn_for(fx, 10);
	assert_int_equal(q.done, before);
}

/* ---- posts ---- */

#define POSTERS 4u
#define POSTS   2000u

struct letter {
	struct loop_post post;
	struct posting *from;
	unsigned number;
};

struct posting {
	struct loop *loop;
	pthread_t thread;
	struct letter letters[POSTS];
	unsigned seen;      /* the loop's: next number expected */
	unsigned *all_seen; /* the loop's */
	bool slowly;
};

static void letter_run(struct loop_post *post)
{
	struct letter *l = container_of(post, struct letter, post);

	assert_ptr_equal(loop_self(), l->from->loop);
	assert_int_equal(l->number, l->from->seen);
	l->from->seen++;
	if (++*l->from->all_seen == POSTERS * POSTS)
		loop_stop(l->from->loop);
}

static void *poster_main(void *arg)
{
	struct posting *p = arg;

	for (unsigned i = 0; i < POSTS; i++) {
		p->letters[i] = (struct letter){ .post.run = letter_run, .from = p, .number = i };
		loop_post(p->loop, &p->letters[i].post);
		if (p->slowly && i % 64 == 0)
			nanosleep(
				&(struct timespec){ .tv_nsec = 200000 }, NULL); /* lets it sleep */
	}
	return NULL;
}

static void test_posts_from_threads_in_order(struct fx *fx)
{
	struct posting *p = own_calloc(POSTERS, sizeof *p);
	unsigned seen = 0;

	for (unsigned i = 0; i < POSTERS; i++) {
		p[i].loop = fx->loop;
		p[i].all_seen = &seen;
		p[i].slowly = i % 2;
		assert_int_equal(pthread_create(&p[i].thread, NULL, poster_main, &p[i]), 0);
	}
	loop_run(fx->loop); /* without a timer: each wake-up has to come */
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(p[i].thread, NULL);
	assert_int_equal(seen, POSTERS * POSTS);
	assert_null(loop_self());
	free(p);
}

/* Two loops throw one post to and fro. */
struct ball {
	struct loop_post post;
	struct loop *loops[2];
	unsigned hops;
};

static void ball_run(struct loop_post *post)
{
	struct ball *b = container_of(post, struct ball, post);

	if (++b->hops >= 1000) {
		loop_stop(b->loops[0]);
		loop_stop(b->loops[1]);
		return;
	}
	loop_post(b->loops[b->hops % 2], post);
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void test_posts_between_loops(struct fx *fx)
{
	struct ball b = { .post.run = ball_run };
	pthread_t thread;
	int err;

	b.loops[0] = fx->loop;
	b.loops[1] = loop_new(&fx->opts, &err);
	assert_non_null(b.loops[1]);
	assert_int_equal(pthread_create(&thread, NULL, run_loop, b.loops[1]), 0);
	loop_post(b.loops[1], &b.post);
	loop_run(b.loops[0]);
	pthread_join(thread, NULL);
	assert_int_equal(b.hops, 1000);
	loop_free(b.loops[1]);
}

static void own_post_run(struct loop_post *post)
{
	struct ball *b = container_of(post, struct ball, post);

	if (++b->hops < 5)
		loop_post(loop_self(), post);
}

static void test_post_to_oneself(struct fx *fx)
{
	struct ball b = { .post.run = own_post_run };

	loop_post(fx->loop, &b.post);
	assert_int_equal(b.hops, 0);
	turn_until(fx, &b.hops, 5);
}

static void *stop_later(void *arg)
{
	nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
	loop_stop(arg);
	return NULL;
}

static void test_stop_from_another_thread(struct fx *fx)
{
	pthread_t thread;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&thread, NULL, stop_later, fx->loop), 0);
		loop_run(fx->loop);
		pthread_join(thread, NULL);
	}
	assert_string_equal(loop_engine_name(fx->loop), engine_names[fx->id - LOOP_ENGINE_URING]);
	assert_int_equal(loop_index(fx->loop), fx->opts.index);
}

/* ---- data buffers ---- */

static void test_data_buffers_keep_to_their_limit(struct fx *fx)
{
	struct loop_buf *b[64];
	unsigned n = 0;

	while (n < 64 && (b[n] = loop_buf_get(fx->loop, 5000))) {
		assert_int_equal(b[n]->size, 8192);
		assert_int_equal((uintptr_t)b[n]->data % 4096, 0);
		memset(b[n]->data, (int)n, 8192);
		n++;
	}
	assert_int_equal(n, 32); /* 256 KiB */
	assert_null(loop_buf_get(fx->loop, 1));
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < 8192; k += 511)
			assert_int_equal(b[i]->data[k], i); /* nothing overlaps */
	loop_buf_put(fx->loop, b[7]);
	assert_null(loop_buf_get(fx->loop, 8193));
	assert_ptr_equal(loop_buf_get(fx->loop, 8192), b[7]); /* the warmest */
	for (unsigned i = 0; i < n; i++)
		loop_buf_put(fx->loop, b[i]);
	b[0] = loop_buf_get(fx->loop, 262144); /* the pieces are joined again */
	assert_non_null(b[0]);
	assert_null(loop_buf_get(fx->loop, 1));
	loop_buf_put(fx->loop, b[0]);
}

/* Sizes at random, held for random times: never one byte in two buffers, never more than allowed.
 */
static void test_data_buffers_at_random(struct fx *fx)
{
	struct loop_buf *out[96] = { NULL };
	unsigned seed = 1, refused = 0;
	uint64_t held = 0;

	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (seed = seed * 1103515245u + 12345u) >> 8 & 63;
		uint32_t len = 1u + ((seed >> 4) & ((4096u << (seed >> 20) % 12u) - 1u));

		if (out[i]) {
			uint64_t mark;

			memcpy(&mark, out[i]->data + out[i]->size - 8, 8);
			assert_true(mark == ((uint64_t)i << 32 | out[i]->size));
			assert_memory_equal(out[i]->data, &mark, 8);
			held -= out[i]->size;
			loop_buf_put(fx->loop, out[i]);
			out[i] = NULL;
			continue;
		}
		out[i] = loop_buf_get(fx->loop, len);
		if (!out[i]) {
			refused++;
			continue;
		}
		assert_true(
			out[i]->size >= len && (out[i]->size < 2 * len || out[i]->size == 4096));
		held += out[i]->size;
		assert_true(held <= 32u << 20);
		memcpy(out[i]->data, &(uint64_t){ (uint64_t)i << 32 | out[i]->size }, 8);
		memcpy(out[i]->data + out[i]->size - 8, out[i]->data, 8);
	}
	assert_true(refused > 0);
	for (unsigned i = 0; i < 64; i++)
		if (out[i])
			loop_buf_put(fx->loop, out[i]);
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(out[i] = loop_buf_get(fx->loop, LOOP_BUF_MAX));
	for (unsigned i = 0; i < 4; i++)
		loop_buf_put(fx->loop, out[i]);
}

/* ---- which engine ---- */

/* This program again, in a process that may not use io_uring, as in many containers: 0 when the
 * loop falls back by itself, and fails when io_uring was demanded. */
static int without_uring(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { own_array_len(rules), rules };
	struct loop_opts opts = { .engine = LOOP_ENGINE_AUTO, .cpu = -1 };
	struct loop *loop;
	int err = 0;
	bool aio;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 77;
	unsetenv("KURA_ENGINE");
	loop = loop_new(&opts, &err);
	if (!loop)
		return 1;
	aio = !strcmp(loop_engine_name(loop), "aio");
	loop_free(loop);
	setenv("KURA_ENGINE", "uring", 1);
	loop = loop_new(&opts, &err);
	return aio && !loop && (err == -EPERM || err == -ENOSYS) ? 0 : 2;
}

static void test_falls_back_where_io_uring_is_off(struct fx *fx)
{
	int status;
	pid_t pid = fork();

	(void)fx;
	if (!pid) {
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execl("/proc/self/exe", "test_loop_base", "--without-uring", NULL);
		_exit(9);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* no filters here */
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
#define CASE(engines, name)                                                                        \
	{                                                                                          \
#name, test_##name, engines,                                                       \
		{                                                                                  \
			.index = 3                                                                 \
		}                                                                                  \
	}
#define SIM 4u
	static const struct loop_case cases[] = {
		CASE(ENGINES_ALL, timers_in_order_and_never_early),
		CASE(ENGINES_ALL, timers_moved_and_cancelled),
		CASE(ENGINES_ALL, timer_sets_itself_again),
		CASE(SIM, timers_far_away),
		CASE(SIM, timers_at_random),
		CASE(ENGINES_ALL, hooks_run_once_at_turn_end),
		CASE(ENGINES_ALL, finished_comes_later_once),
		CASE(ENGINES_REAL, posts_from_threads_in_order),
		CASE(ENGINES_REAL, posts_between_loops),
		CASE(ENGINES_ALL, post_to_oneself),
		CASE(ENGINES_REAL, stop_from_another_thread),
		CASE(SIM, falls_back_where_io_uring_is_off),
		{ "data_buffers_keep_to_their_limit", test_data_buffers_keep_to_their_limit, SIM,
			{ .data_max = 256 << 10 } },
		{ "data_buffers_at_random", test_data_buffers_at_random, SIM,
			{ .data_max = 32 << 20 } },
	};

	if (argc > 1 && !strcmp(argv[1], "--without-uring"))
		return without_uring();
	return cases_run("loop_base", cases, own_array_len(cases));
}
