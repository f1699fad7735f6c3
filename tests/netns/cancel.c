/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Embeds the library as a program does that has something else to do, too.
 *
 *     cancel AFTER MS NODE PROGRAM FILE...	applies, and cancels it MS ms after the progress
 *						that contains AFTER; "never": not at all
 *     cancel misuse NODE PROGRAM FILE...	runs what is not to be run
 *     cancel status NODE FILE...		asks for the health, without a PROGRAM
 *
 * Prints a line for each call: its name, what it returned, the step that failed, and the message; and
 * whether it ended "at once" when it was cancelled, or "late".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "kilowg.h"

struct canceller {
	int fd;			/* readable when the time has come */
	const char *after;
	int ms;
	unsigned steps, of;	/* as progress tells them */
	double since;		/* s; when it was cancelled, 0: not yet */
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_progress(void *arg, const char *what, unsigned step, unsigned of)
{
	struct itimerspec t = { .it_value = { 0, 1 } };
	struct canceller *c = arg;

	if (step && (step <= c->steps || step > of || (c->of && of != c->of)))
		printf("progress is out of order: %u of %u\n", step, of);
	c->steps = step ? step : c->steps;
	c->of = of ? of : c->of;
	if (!what || !strstr(what, c->after))
		return;
	t.it_value.tv_sec = c->ms / 1000;
	t.it_value.tv_nsec += c->ms % 1000 * 1000000L;
	timerfd_settime(c->fd, 0, &t, NULL);
	c->since = seconds() + c->ms / 1e3;
}

static int tell(const char *call, int ret, const struct kwg_error *err)
{
	printf("%s %d step %u: %s\n", call, ret, ret ? err->step : 0, ret ? err->text : "");
	return ret;
}

static struct kwg_plan *read_plan(struct kwg_config **cfg, const char *node, char **files)
{
	struct kwg_plan *plan = NULL;
	struct kwg_error err;
	int ret = 0;

	*cfg = kwg_config_new();
	while (*files && !ret)
		ret = kwg_config_add_path(*cfg, *files++, &err);
	if (!ret)
		ret = kwg_config_finish(*cfg, &err);
	if (!ret)
		ret = kwg_plan_new(&plan, *cfg, node, &err);
	if (!ret)
		return plan;
	fprintf(stderr, "%s\n", err.text);
	exit(1);
}

static void apply(const struct kwg_plan *plan, const struct kwg_host_options *o, struct canceller *c)
{
	struct kwg_error err = { .step = 99 };
	struct kwg_steps *steps;

	if (!tell("new", kwg_steps_new(&steps, plan, o, &err), &err)) {
		tell("run", kwg_steps_run(steps, &err), &err);
		kwg_steps_free(steps);
	}
	if (c)
		printf("progress %u of %u\n", c->steps, c->of);
	if (c && c->since > 0)
		printf("%s\n", seconds() - c->since < 5 ? "at once" : "late");
}

static void misuse(const struct kwg_plan *plan, struct kwg_host_options *o)
{
	struct kwg_error err = { .step = 99 };
	struct kwg_steps *steps;

	o->read_only = true;
	apply(plan, o, NULL);
	o->read_only = false;
	if (tell("new", kwg_steps_new(&steps, plan, o, &err), &err))
		return;
	tell("run", kwg_steps_run(steps, &err), &err);
	tell("again", kwg_steps_run(steps, &err), &err);
	kwg_steps_free(steps);
}

static void status(const struct kwg_plan *plan)
{
	struct kwg_host_options o = KWG_HOST_OPTIONS_INIT;
	struct kwg_error err;
	bool healthy = true;
	char *text = NULL;

	if (!tell("status", kwg_status(plan, &o, time(NULL), false, false, &healthy, &text, NULL, &err), &err))
		printf("%s\n%s", healthy ? "healthy" : "unhealthy", text);
	kwg_text_free(text);
}

int main(int argc, char **argv)
{
	struct canceller c = { .fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) };
	struct kwg_host_options o = KWG_HOST_OPTIONS_INIT;
	bool misuses = argc > 1 && !strcmp(argv[1], "misuse"), asks = argc > 1 && !strcmp(argv[1], "status");
	int first = misuses || asks ? 2 : 3;
	const char *program[2] = { NULL, NULL };
	struct kwg_config *cfg;
	struct kwg_plan *plan;

	if (argc < first + 3 - asks)
		return 1;
	plan = read_plan(&cfg, argv[first], argv + first + (asks ? 1 : 2));
	program[0] = argv[first + 1];
	o.userspace_command = program;
	o.wait_lock = true;
	if (asks) {
		status(plan);
	} else if (misuses) {
		misuse(plan, &o);
	} else {
		c.after = argv[1];
		c.ms = atoi(argv[2]);
		o.cancel_fd = c.fd;
		o.progress = on_progress;
		o.log_arg = &c;
		apply(plan, &o, &c);
	}
	kwg_plan_free(plan);
	kwg_config_free(cfg);
	close(c.fd);
	return 0;
}
