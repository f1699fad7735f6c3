/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Why threads. What users expect of a name is what getent(1) prints: the hosts
 * file, search domains, and what else nsswitch.conf names, such as
 * systemd-resolved or mDNS. Only getaddrinfo() knows all of that; a DNS library
 * would not. It cannot be cancelled without leaking what it holds, and a library
 * may not fork a program that has threads. So each thread owns a share of the
 * job, and the last to let go of it, caller or thread, frees it.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "host/resolve.h"
#include "sys/errtext.h"

enum {
	MAX_THREADS = 256,	/* more names than that take turns */
	STACK_SIZE = 256 * 1024,	/* modules of nsswitch.conf want more than the least */
	DISCARD_PORT = 9,	/* any one but 0: nothing is sent */
};

const char kwgi_resolve_late[] = "no answer in time";

struct question {
	char *host;
	struct kwgi_name_answer *answers;
	uint32_t n;
	const char *why;
	bool done;
};

struct job {
	pthread_mutex_t lock;
	pthread_cond_t finished;
	unsigned shares;	/* of the caller and of each thread */
	uint32_t n, next, n_done;
	unsigned timeout;	/* seconds */
	bool over;		/* nobody waits any more */
	struct question q[];
};

/* ---- one name -------------------------------------------------------- */

/* gai_strerror() translates into the language of the program. */
static const char *reason(int ret, int e)
{
	switch (ret) {
	case EAI_AGAIN:
		return "no name server has an answer at present";
	case EAI_NONAME:
		return "there is no such name";
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
		return "the name has no address of a family that this host uses";
	case EAI_FAIL:
		return "a name server has refused to answer";
	case EAI_MEMORY:
		return "out of memory";
	case EAI_SYSTEM:
		return kwgi_errtext(e);
	}
	return "it cannot be looked up";
}

static struct kwgi_addr from_sockaddr(const struct sockaddr *sa)
{
	struct kwgi_addr a = { 0 };
	const uint8_t *b;

	if (sa->sa_family == AF_INET) {
		a.family = KWGI_AF_V4;
		memcpy(a.b, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		b = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr;
		a.family = KWGI_AF_V6;
		memcpy(a.b, b, 16);
		if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)b)) {
			a = (struct kwgi_addr){ .family = KWGI_AF_V4 };
			memcpy(a.b, b + 12, 4);
		}
	}
	return a;
}

static void take_answers(struct question *q, const struct addrinfo *list)
{
	const struct addrinfo *i;
	uint32_t n = 0;

	for (i = list; i; i = i->ai_next)
		n++;
	q->answers = calloc(n ? n : 1, sizeof(*q->answers));
	if (!q->answers) {
		q->why = "out of memory";
		return;
	}
	for (i = list; i; i = i->ai_next)
		q->answers[q->n++].addr = from_sockaddr(i->ai_addr);
}

/*
 * By default glibc asks a second time after 5 seconds, which is when nobody waits
 * any more: one lost packet would lose the name. What is set here is the
 * thread's own. It also lets a thread that nobody waits for end sooner.
 */
static void be_quick(unsigned timeout)
{
#ifdef __GLIBC__
	if (res_init())
		return;
	if (_res.retrans > 1)
		_res.retrans = 1;
	_res.retry = timeout > 1 ? (int)timeout : 2;
	/* Otherwise threads that begin at the same moment may get the defaults back. */
	_res.options |= RES_NORELOAD;
#else
	(void)timeout;
#endif
}

/* host, answers, n and why of q are the thread's alone until done is set. */
static void ask(struct question *q)
{
	/* Without addresses of IPv6, nobody is asked for more of them: some servers never answer that. */
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL;
	int ret = getaddrinfo(q->host, NULL, &hints, &list);

	if (ret) {
		q->why = reason(ret, errno);
		return;
	}
	take_answers(q, list);
	freeaddrinfo(list);
}

/* ---- the job --------------------------------------------------------- */

static void job_free(struct job *job)
{
	uint32_t i;

	for (i = 0; i < job->n; i++) {
		free(job->q[i].host);
		free(job->q[i].answers);
	}
	pthread_cond_destroy(&job->finished);
	pthread_mutex_destroy(&job->lock);
	free(job);
}

/* The lock is held, and let go. */
static void let_go(struct job *job)
{
	bool last = --job->shares == 0;

	pthread_mutex_unlock(&job->lock);
	if (last)
		job_free(job);
}

static void *run_thread(void *arg)
{
	struct job *job = arg;
	struct question *q;

	be_quick(job->timeout);
	pthread_mutex_lock(&job->lock);
	while (!job->over && job->next < job->n) {
		q = &job->q[job->next++];
		pthread_mutex_unlock(&job->lock);
		ask(q);
		pthread_mutex_lock(&job->lock);
		q->done = true;
		if (++job->n_done == job->n)
			pthread_cond_signal(&job->finished);
	}
	let_go(job);
	return NULL;
}

static int init_lock(struct job *job)
{
	pthread_condattr_t attr;
	int e = pthread_condattr_init(&attr);

	if (e)
		return e;
	e = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!e)
		e = pthread_cond_init(&job->finished, &attr);
	pthread_condattr_destroy(&attr);
	if (e)
		return e;
	e = pthread_mutex_init(&job->lock, NULL);
	if (e)
		pthread_cond_destroy(&job->finished);
	return e;
}

static struct job *job_new(const struct kwgi_lookup *lookups, uint32_t n, unsigned timeout_ms)
{
	struct job *job = calloc(1, sizeof(*job) + n * sizeof(*job->q));
	bool ok = true;
	uint32_t i;

	if (!job || init_lock(job)) {
		free(job);
		return NULL;
	}
	job->shares = 1;
	job->n = n;
	job->timeout = (timeout_ms + 999) / 1000;
	for (i = 0; i < n; i++) {
		job->q[i].host = strdup(lookups[i].host);
		ok = ok && job->q[i].host;
	}
	if (ok)
		return job;
	job_free(job);
	return NULL;
}

/* The lock is held, so that no thread runs yet. Signals are the caller's threads' business. */
static int start_threads(struct job *job)
{
	uint32_t i, n = job->n < MAX_THREADS ? job->n : MAX_THREADS;
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int e = pthread_attr_init(&attr);

	if (e)
		return e;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (i = 0; i < n && !e; i++) {
		e = pthread_create(&thread, &attr, run_thread, job);
		job->shares += !e;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return job->shares > 1 ? 0 : e;
}

static struct timespec in_ms(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

/* Who may be cancelled looks now and then. */
static void wait_until_done(struct job *job, unsigned timeout_ms, const struct kwgi_stop *stop)
{
	unsigned ms = timeout_ms;
	struct timespec t;

	do {
		if (stop && stop->has_fd && ms > KWGI_STOP_LOOK)
			ms = KWGI_STOP_LOOK;
		t = in_ms(ms);
		while (job->n_done < job->n &&
		       pthread_cond_timedwait(&job->finished, &job->lock, &t) != ETIMEDOUT)
			;
		timeout_ms -= ms;
		ms = timeout_ms;
	} while (job->n_done < job->n && timeout_ms && !kwgi_stop_cancelled(stop));
}

/* ---- routes ---------------------------------------------------------- */

static int open_probe(int family, uint32_t fwmark)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* Without the privilege the question is put without the mark. */
	if (fd >= 0 && fwmark)
		(void)setsockopt(fd, SOL_SOCKET, SO_MARK, &fwmark, sizeof(fwmark));
	return fd;
}

/* Connecting a UDP socket asks for a route and a source address, and sends nothing (RFC 6724, 5, rule 1). */
static bool has_route(const struct kwgi_addr *a, uint32_t fwmark)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(DISCARD_PORT) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(DISCARD_PORT) };
	bool is_v6 = a->family == KWGI_AF_V6;
	int fd = open_probe(is_v6 ? AF_INET6 : AF_INET, fwmark), ret;

	if (fd < 0)
		return false;
	memcpy(&v4.sin_addr, a->b, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, a->b, sizeof(v6.sin6_addr));
	ret = is_v6 ? connect(fd, (struct sockaddr *)&v6, sizeof(v6))
		    : connect(fd, (struct sockaddr *)&v4, sizeof(v4));
	close(fd);
	return !ret;
}

/* ---- all ------------------------------------------------------------- */

/* The lock is held. */
static void hand_over(struct job *job, struct kwgi_lookup *lookups)
{
	uint32_t i;

	for (i = 0; i < job->n; i++) {
		if (!job->q[i].done) {
			lookups[i].why = kwgi_resolve_late;
			continue;
		}
		lookups[i].answers = job->q[i].answers;
		lookups[i].n = job->q[i].n;
		lookups[i].why = job->q[i].why;
		job->q[i].answers = NULL;
	}
}

int kwgi_resolve(struct kwgi_lookup *lookups, uint32_t n, unsigned timeout_ms, uint32_t fwmark,
		 const struct kwgi_stop *stop, struct kwg_error *err)
{
	struct job *job;
	uint32_t i, k;
	int e;

	if (!n)
		return 0;
	job = job_new(lookups, n, timeout_ms);
	if (!job)
		return kwgi_nomem(err);
	pthread_mutex_lock(&job->lock);
	e = start_threads(job);
	if (!e)
		wait_until_done(job, timeout_ms, stop);
	job->over = true;
	hand_over(job, lookups);
	let_go(job);
	for (i = 0; i < n; i++) {
		if (e)
			lookups[i].why = kwgi_errtext(e);
		for (k = 0; k < lookups[i].n; k++)
			lookups[i].answers[k].reachable = has_route(&lookups[i].answers[k].addr, fwmark);
	}
	return kwgi_stop_cancelled(stop) ? kwgi_stop_fail(stop, err, "names were looked up") : 0;
}

void kwgi_resolve_free(struct kwgi_lookup *lookups, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		free(lookups[i].answers);
}
