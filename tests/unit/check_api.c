/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What programs that embed the library rely on, besides packets (check_embed.c): misuse is told and
 * changes nothing, structs may grow, memory is little and may end, many tunnels share a socket.
 */
#include <malloc.h>
#include <stdint.h>
#include <unistd.h>

#include "kilowg.h"
#include "unit.h"

enum { ROOM = 2048, MANY = 10000 };

#define S UINT64_C(1000000000)

static uint64_t now, wall;
static char keys[2][2][KWG_KEY_TEXT];	/* [side][private, public] */
static uint8_t raw[2][2][KWG_KEY_LEN];	/* the same */
static struct kwg_error err;

/* ---- memory: counted, and failing where a test wants it (-Wl,--wrap) ---------------- */

static bool counts;
static size_t used;
static unsigned left_to_fail;	/* 0: none fails */
static bool has_failed;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

static bool fails(void)
{
	if (!left_to_fail || --left_to_fail)
		return false;
	has_failed = true;
	return true;
}

static void *count(void *p)
{
	if (counts && p)
		used += malloc_usable_size(p);
	return p;
}

static void discount(void *p)
{
	if (counts && p)
		used -= malloc_usable_size(p);
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : count(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (fails())
		return NULL;
	discount(p);
	return count(__real_realloc(p, n));
}

void __wrap_free(void *p)
{
	discount(p);
	__real_free(p);
}

static void begin(void)
{
	unsigned i;

	now = 100 * S;
	wall = 1700000000 * S;
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(kwg_genkey(keys[i][0], NULL), 0);
		ck_assert_int_eq(kwg_pubkey(keys[i][1], keys[i][0], NULL), 0);
		ck_assert_int_eq(kwg_key_parse(raw[i][0], keys[i][0], NULL), 0);
		ck_assert_int_eq(kwg_key_parse(raw[i][1], keys[i][1], NULL), 0);
	}
}

static size_t packet(uint8_t *p, uint32_t len, uint8_t tos)
{
	memset(p, 0, len);
	p[0] = 0x45;
	p[1] = tos;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	p[15] = 1;
	p[19] = 2;
	return len;
}

/* ---- the library, and keys ------------------------------------------------------------ */

START_TEST(version_and_features)
{
	char text[20];
	unsigned want = 0;

	snprintf(text, sizeof(text), "%d.%d.%d", KWG_VERSION_NUMBER >> 16,
		 KWG_VERSION_NUMBER >> 8 & 0xff, KWG_VERSION_NUMBER & 0xff);
	ck_assert_str_eq(text, KWG_VERSION);
	ck_assert_str_eq(kwg_version(), KWG_VERSION);
#ifdef KWG_SECCOMP
	want |= KWG_FEATURE_SECCOMP;
#endif
#ifdef KWG_WITH_OPENSSL
	want |= KWG_FEATURE_LIBCRYPTO;
#endif
#ifdef KWG_WITH_JANSSON
	want |= KWG_FEATURE_CNI;
#endif
	ck_assert_uint_eq(kwg_features(), want);
}
END_TEST

START_TEST(key_conversions)
{
	static const char *const bad[] = { "", "AAAA", "0123", "not a key" };
	char text[KWG_KEY_TEXT], hex[KWG_KEY_HEX];
	uint8_t k[KWG_KEY_LEN], before[KWG_KEY_LEN];
	unsigned i;

	ck_assert_ptr_eq(kwg_key_text(text, raw[0][1]), text);
	ck_assert_str_eq(text, keys[0][1]);
	ck_assert_ptr_eq(kwg_key_hex(hex, raw[0][1]), hex);
	ck_assert_uint_eq(strlen(hex), 64);
	ck_assert_int_eq(kwg_key_parse(k, hex, NULL), 0);
	ck_assert_mem_eq(k, raw[0][1], sizeof(k));
	memcpy(before, k, sizeof(k));
	for (i = 0; i < N_OF(bad); i++) {
		ck_assert_int_eq(kwg_key_parse(k, bad[i], &err), KWG_ERR_USAGE);
		ck_assert_mem_eq(k, before, sizeof(k));
	}
	memset(k, 0, sizeof(k));
	ck_assert_int_eq(kwg_pubkey(hex, kwg_key_text(text, k), &err), KWG_ERR_USAGE);
}
END_TEST

/* ---- structs that can grow ---------------------------------------------------------------- */

static void on_send(void *arg, const struct kwg_endpoint *to, const uint8_t *msg, size_t len,
		    uint8_t tos);
static void on_deliver(void *arg, const uint8_t *public_key, uint8_t *p, size_t len);

static struct kwg_config *config(void)
{
	char text[600];
	struct kwg_config *cfg = kwg_config_new();

	snprintf(text, sizeof(text), "[mesh]\nformat = 1\n[node]\nname = a\nlocation = x\npublic-key = %s\n"
		 "endpoint = 203.0.113.10:51820\ninternal-ip = 192.168.1.10/24\npod-cidr = 10.42.0.0/24\n",
		 keys[0][1]);
	ck_assert_ptr_nonnull(cfg);
	ck_assert_int_eq(kwg_config_add_text(cfg, "t", text, strlen(text), NULL), 0);
	ck_assert_int_eq(kwg_config_finish(cfg, &err), 0);
	return cfg;
}

/* One call with a struct that begins with its size; what it returns. */
static int with_callbacks(const void *s)
{
	struct kwg_device *dev = NULL;
	int ret = kwg_device_new(&dev, s, &err);

	ck_assert(!ret == !!dev);
	kwg_device_free(dev);
	return ret;
}

static int with_peer(const void *s)
{
	const struct kwg_device_callbacks cb = { .size = sizeof(cb), .send = on_send, .deliver = on_deliver };
	struct kwg_device *dev;
	int ret;

	ck_assert_int_eq(kwg_device_new(&dev, &cb, NULL), 0);
	ret = kwg_device_set_peer(dev, s, now, wall, &err);
	kwg_device_free(dev);
	return ret;
}

static int with_options(const void *s)
{
	struct kwg_config *cfg = config();
	struct kwg_plan *plan;
	struct kwg_steps *steps = NULL;
	int ret;

	ck_assert_int_eq(kwg_plan_new(&plan, cfg, "a", NULL), 0);
	ret = kwg_steps_new(&steps, plan, s, &err);
	kwg_steps_free(steps);
	kwg_plan_free(plan);
	kwg_config_free(cfg);
	return ret;
}

/* Every other function that takes them. */
static void options_elsewhere(const void *s)
{
	struct kwg_config *cfg = config();
	bool good = true;
	struct kwg_steps *steps = NULL;
	struct kwg_plan *plan;
	char *out = NULL;
	size_t len;

	ck_assert_int_eq(kwg_plan_new(&plan, cfg, "a", NULL), 0);
	ck_assert_int_eq(kwg_status(plan, s, 0, false, false, &good, &out, &len, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_check_live(plan, s, false, &good, &out, &len, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_steps_new_down(&steps, cfg, s, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_steps_new_down_mesh(&steps, "m", s, &err), KWG_ERR_USAGE);
	ck_assert_ptr_null(steps);
	ck_assert_ptr_null(out);
	ck_assert(good);
	kwg_plan_free(plan);
	kwg_config_free(cfg);
}

static int with_userspace(const void *s)
{
	return kwg_userspace_run(s, &err);
}

static void check_size(int (*call)(const void *s), const void *good, size_t size, const char *name)
{
	struct {
		size_t size;
		uint8_t rest[4096];
	} s = { .size = 0 };

	memcpy(&s, good, size);
	for (s.size = 0; s.size < sizeof(size_t); s.size++)
		ck_assert_int_eq(call(&s), KWG_ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.text, name));
	s.size = SIZE_MAX;
	ck_assert_int_eq(call(&s), KWG_ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.text, "size"));
	s.size = size + 64;
	ck_assert_int_eq(call(&s), call(good));
	((uint8_t *)&s)[size + 63] = 1;
	ck_assert_int_eq(call(&s), KWG_ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.text, "newer"));
}

static int with_init(const void *s)
{
	char *text;

	return kwg_init(s, &text, NULL, &err);
}

START_TEST(sizes)
{
	struct kwg_init_options i = KWG_INIT_OPTIONS_INIT;
	struct kwg_device_callbacks cb = KWG_DEVICE_CALLBACKS_INIT;
	struct kwg_userspace_options u = KWG_USERSPACE_OPTIONS_INIT;
	struct kwg_host_options o = KWG_HOST_OPTIONS_INIT;
	struct kwg_peer p = KWG_PEER_INIT;

	cb.send = on_send;
	cb.deliver = on_deliver;
	check_size(with_callbacks, &cb, sizeof(cb), "kwg_device_callbacks");
	ck_assert_int_eq(with_callbacks(&cb), 0);
	memcpy(p.public_key, raw[1][1], sizeof(p.public_key));
	check_size(with_peer, &p, sizeof(p), "kwg_peer");
	ck_assert_int_eq(with_peer(&p), 0);
	u.ifname = "a name that no interface has";
	check_size(with_userspace, &u, sizeof(u), "kwg_userspace_options");
	i.folder = "/nowhere";
	check_size(with_init, &i, sizeof(i), "kwg_init_options");
	ck_assert_int_eq(with_init(NULL), KWG_ERR_USAGE);
	/* Looks at this host, as far as it may. */
	o.read_only = true;
	o.no_lookup = true;
	check_size(with_options, &o, sizeof(o), "kwg_host_options");
	ck_assert_int_eq(o.cancel_fd, -1);
	ck_assert_int_eq(u.tun_fd & u.uapi_fd & u.stop_fd, -1);
	o.size = 0;
	options_elsewhere(&o);
	ck_assert_int_eq(with_callbacks(NULL), KWG_ERR_USAGE);
	ck_assert_int_eq(with_peer(NULL), KWG_ERR_USAGE);
	ck_assert_int_eq(with_userspace(NULL), KWG_ERR_USAGE);
}
END_TEST

/* A struct of an older header ends sooner: what it does not have is as by default. */
START_TEST(smaller)
{
	struct kwg_device_callbacks cb = KWG_DEVICE_CALLBACKS_INIT;
	struct kwg_peer p = KWG_PEER_INIT;

	cb.send = on_send;
	cb.deliver = on_deliver;
	cb.size = offsetof(struct kwg_device_callbacks, random);
	cb.alloc = (void *(*)(void *, size_t))0x1;	/* would be called, or be told from release */
	ck_assert_int_eq(with_callbacks(&cb), 0);
	memcpy(p.public_key, raw[1][1], sizeof(p.public_key));
	p.size = offsetof(struct kwg_peer, keepalive);
	p.keepalive = 70000;
	ck_assert_int_eq(with_peer(&p), 0);
	p.size = sizeof(p);
	ck_assert_int_eq(with_peer(&p), KWG_ERR_USAGE);
}
END_TEST

START_TEST(callbacks_missing)
{
	struct kwg_device_callbacks cb = KWG_DEVICE_CALLBACKS_INIT;
	struct kwg_userspace_options u = KWG_USERSPACE_OPTIONS_INIT;

	ck_assert_int_eq(with_callbacks(&cb), KWG_ERR_USAGE);
	cb.send = on_send;
	ck_assert_int_eq(with_callbacks(&cb), KWG_ERR_USAGE);
	cb.deliver = on_deliver;
	ck_assert_int_eq(with_callbacks(&cb), 0);
	cb.alloc = (void *(*)(void *, size_t))0x1;
	ck_assert_int_eq(with_callbacks(&cb), KWG_ERR_USAGE);
	ck_assert_int_eq(with_userspace(&u), KWG_ERR_USAGE);
}
END_TEST

START_TEST(finished_configuration)
{
	struct kwg_config *cfg = config();

	ck_assert_int_eq(kwg_config_add_text(cfg, "t", "x", 1, &err), KWG_ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.text, "finished"));
	ck_assert_int_eq(kwg_config_add_path(cfg, "/dev/null", &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_config_add_path(cfg, "/", &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_config_add_default(cfg, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_config_set_local(cfg, "interface", "wg7", &err), KWG_ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.text, "finished"));
	ck_assert_int_eq(kwg_config_finish(cfg, &err), KWG_ERR_USAGE);
	kwg_config_free(cfg);
}
END_TEST

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void file_is(const char *path, const char *wanted)
{
	char text[256] = "";
	FILE *f = fopen(path, "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(text, 1, sizeof(text) - 1, f), strlen(wanted));
	fclose(f);
	ck_assert_str_eq(text, wanted);
}

START_TEST(change_of_a_file)
{
	static const char before[] = "[mesh]\nformat = 1\n", other[] = "[mesh]\nformat = 1\n# mine\n";
	static const char after[] = "[mesh]\nformat = 1\n\n[node]\nname = a\n";
	char path[] = "/tmp/check_api.XXXXXX";
	struct kwg_config *cfg = kwg_config_new();
	struct kwg_edit *e = NULL;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	write_file(path, before);
	ck_assert_int_eq(kwg_config_add_path(cfg, path, &err), 0);
	ck_assert_int_eq(kwg_config_finish(cfg, &err), 0);
	ck_assert_int_eq(kwg_edit_add(&e, cfg, "/elsewhere", false, "a", NULL, 0, NULL, 0, &err), KWG_ERR_USAGE);
	ck_assert_ptr_null(e);
	ck_assert_int_eq(kwg_edit_add(&e, cfg, path, false, "a", NULL, 0, NULL, 0, &err), 0);
	ck_assert_str_eq(kwg_edit_file(e), path);
	file_is(path, before);
	/* Somebody else was here first. */
	write_file(path, other);
	ck_assert_int_eq(kwg_edit_save(e, &err), KWG_ERR_IO);
	ck_assert_ptr_nonnull(strstr(err.text, "changed the file meanwhile"));
	file_is(path, other);
	write_file(path, before);
	ck_assert_int_eq(kwg_edit_save(e, &err), 0);
	file_is(path, after);
	unlink(path);
	ck_assert_int_eq(kwg_edit_save(e, &err), KWG_ERR_IO);
	kwg_edit_free(e);
	kwg_edit_free(NULL);
	kwg_config_free(cfg);
}
END_TEST

/* ---- peers of a device ----------------------------------------------------------------------- */

struct host {
	struct kwg_device *dev;
	uint8_t out[ROOM];
	size_t out_len;
	uint8_t tos;
	unsigned sent, delivered;
	unsigned events[KWG_EVENT_PEER_REMOVED + 1];
	size_t locked;
	bool no_memory;
};

static void on_send(void *arg, const struct kwg_endpoint *to, const uint8_t *msg, size_t len,
		    uint8_t tos)
{
	struct host *h = arg;

	(void)to;
	ck_assert_uint_le(len, sizeof(h->out));
	memcpy(h->out, msg, len);
	h->out_len = len;
	h->tos = tos;
	h->sent++;
}

static void on_deliver(void *arg, const uint8_t *public_key, uint8_t *p, size_t len)
{
	struct host *h = arg;

	(void)public_key, (void)p, (void)len;
	h->delivered++;
}

static void on_event(void *arg, const uint8_t *public_key, enum kwg_event event)
{
	struct host *h = arg;

	(void)public_key;
	h->events[event]++;
}

static uint32_t on_scope(void *arg, const char *name)
{
	(void)arg;
	return !strcmp(name, "eth7") ? 7 : 0;
}

static void *on_alloc(void *arg, size_t size)
{
	struct host *h = arg;

	if (h->no_memory)
		return NULL;
	h->locked += size;
	return calloc(1, size);
}

static void on_release(void *arg, void *p, size_t size)
{
	static const uint8_t zero[1 << 16];
	struct host *h = arg;

	ck_assert_uint_le(size, sizeof(zero));
	ck_assert_mem_eq(p, zero, size);
	h->locked -= size;
	free(p);
}

static void host_begin(struct host *h, bool locked)
{
	struct kwg_device_callbacks cb = KWG_DEVICE_CALLBACKS_INIT;

	memset(h, 0, sizeof(*h));
	cb.arg = h;
	cb.send = on_send;
	cb.deliver = on_deliver;
	cb.event = on_event;
	cb.scope = on_scope;
	cb.alloc = locked ? on_alloc : NULL;
	cb.release = locked ? on_release : NULL;
	ck_assert_int_eq(kwg_device_new(&h->dev, &cb, NULL), 0);
	ck_assert_int_eq(kwg_device_set_private_key(h->dev, raw[1][0], now, wall, NULL), 0);
}

static struct kwg_peer peer_of(const uint8_t *public_key)
{
	struct kwg_peer p = KWG_PEER_INIT;

	memcpy(p.public_key, public_key, sizeof(p.public_key));
	return p;
}

static int set(struct host *h, const struct kwg_peer *p)
{
	return kwg_device_set_peer(h->dev, p, now, wall, &err);
}

START_TEST(peer_fields)
{
	static const struct kwg_network nets[] = {
		{ 4, { 10, 1, 2, 3 }, 16 }, { 6, { 0xfd, 0, 1 }, 40 },
	};
	const struct kwg_endpoint there = { .family = 4, .addr = { 192, 0, 2, 1 }, .port = 77 };
	static const uint8_t psk[KWG_KEY_LEN] = { 9 }, none[KWG_KEY_LEN];
	struct kwg_peer p = peer_of(raw[0][1]);
	struct kwg_peer_state s;
	struct kwg_network got[3];
	struct host h;

	host_begin(&h, false);
	p.update_only = true;
	ck_assert_int_eq(set(&h, &p), 0);
	ck_assert(!kwg_device_peer(h.dev, raw[0][1], now, &s));
	p.update_only = false;
	p.psk = psk;
	p.endpoint = &there;
	p.keepalive = 25;
	p.allowed_ips = nets;
	p.n_allowed_ips = 2;
	ck_assert_int_eq(set(&h, &p), 0);
	ck_assert_uint_eq(h.events[KWG_EVENT_PEER_ADDED], 1);
	ck_assert(kwg_device_peer(h.dev, raw[0][1], now, &s));
	ck_assert_mem_eq(s.public_key, raw[0][1], sizeof(s.public_key));
	ck_assert(s.has_psk && !s.has_session);
	ck_assert_mem_eq(s.endpoint.addr, there.addr, 4);
	ck_assert_uint_eq(s.endpoint.port, 77);
	ck_assert_uint_eq(s.keepalive, 25);
	ck_assert_uint_eq(s.n_allowed_ips, 2);
	ck_assert_uint_eq(s.last_handshake, 0);
	/* The keepalive that was turned on has begun a handshake, which counts. */
	ck_assert_uint_eq(h.sent, 1);
	ck_assert_uint_eq(s.tx_bytes, 148);
	memset(got, 0xff, sizeof(got));
	ck_assert_uint_eq(kwg_device_allowed_ips(h.dev, raw[0][1], got, 1), 2);
	ck_assert_uint_eq(got[1].family, 0xff);
	ck_assert_uint_eq(kwg_device_allowed_ips(h.dev, raw[0][1], got, 3), 2);
	ck_assert_uint_eq(got[0].family + got[1].family, 10);
	ck_assert_uint_eq(got[0].bits + got[1].bits, 56);
	ck_assert_uint_eq(got[2].family, 0xff);
	ck_assert_uint_eq(kwg_device_allowed_ips(h.dev, raw[1][1], got, 3), 0);
	/* Nothing but the preshared key goes. */
	p = peer_of(raw[0][1]);
	p.psk = none;
	ck_assert_int_eq(set(&h, &p), 0);
	ck_assert(kwg_device_peer(h.dev, raw[0][1], now, &s));
	ck_assert(!s.has_psk);
	ck_assert_uint_eq(s.keepalive, 25);
	ck_assert_uint_eq(s.n_allowed_ips, 2);
	ck_assert_uint_eq(s.endpoint.port, 77);
	p.psk = NULL;
	p.replace_allowed_ips = true;
	p.keepalive = 0;
	ck_assert_int_eq(set(&h, &p), 0);
	ck_assert(kwg_device_peer(h.dev, raw[0][1], now, &s));
	ck_assert_uint_eq(s.n_allowed_ips + s.keepalive, 0);
	ck_assert(kwg_device_remove_peer(h.dev, raw[0][1], now, wall));
	ck_assert(!kwg_device_remove_peer(h.dev, raw[0][1], now, wall));
	ck_assert_uint_eq(h.events[KWG_EVENT_PEER_REMOVED], 1);
	ck_assert(!kwg_device_next_peer(h.dev, NULL, now, &s));
	kwg_device_free(h.dev);
}
END_TEST

START_TEST(peer_that_cannot_be)
{
	static const struct kwg_network bad[] = { { 5, { 0 }, 0 }, { 4, { 0 }, 33 }, { 6, { 0 }, 129 } };
	static const struct kwg_network good = { 4, { 10 }, 8 };
	struct kwg_endpoint nowhere = { .family = 4, .addr = { 1 } };
	struct kwg_network v[2] = { good };
	struct kwg_peer p = peer_of((const uint8_t[KWG_KEY_LEN]){ 0 });
	struct kwg_peer_state s;
	struct host h;
	unsigned i;

	host_begin(&h, false);
	ck_assert_int_eq(set(&h, &p), KWG_ERR_USAGE);
	p = peer_of(raw[0][1]);
	for (i = 0; i < N_OF(bad); i++) {
		v[1] = bad[i];
		p.allowed_ips = v;
		p.n_allowed_ips = 2;
		ck_assert_int_eq(set(&h, &p), KWG_ERR_USAGE);
	}
	p.n_allowed_ips = 1;
	p.endpoint = &nowhere;
	ck_assert_int_eq(set(&h, &p), KWG_ERR_USAGE);
	nowhere.family = 7;
	nowhere.port = 1;
	ck_assert_int_eq(set(&h, &p), KWG_ERR_USAGE);
	p.endpoint = NULL;
	p.keepalive = 65536;
	ck_assert_int_eq(set(&h, &p), KWG_ERR_USAGE);
	p.keepalive = -2;
	ck_assert_int_eq(set(&h, &p), KWG_ERR_USAGE);
	ck_assert(!kwg_device_next_peer(h.dev, NULL, now, &s));
	/* Its own key: no peer, and no error, as the kernel does it. */
	p = peer_of(raw[1][1]);
	ck_assert_int_eq(set(&h, &p), 0);
	ck_assert(!kwg_device_next_peer(h.dev, NULL, now, &s));
	kwg_device_free(h.dev);
}
END_TEST

static void numbered(uint8_t key[KWG_KEY_LEN], uint32_t i)
{
	memset(key, 0, KWG_KEY_LEN);
	key[0] = 9;
	memcpy(key + 4, &i, sizeof(i));
}

START_TEST(walk)
{
	uint8_t key[KWG_KEY_LEN], gone[KWG_KEY_LEN];
	struct kwg_peer_state s;
	uint32_t i, n = 0;
	struct kwg_peer p;
	struct host h;
	bool more;

	host_begin(&h, false);
	for (i = 0; i < MANY; i++) {
		numbered(key, i);
		p = peer_of(key);
		ck_assert_int_eq(set(&h, &p), 0);
	}
	for (more = kwg_device_next_peer(h.dev, NULL, now, &s); more; n++) {
		numbered(key, n);
		ck_assert_mem_eq(s.public_key, key, sizeof(key));
		memcpy(gone, s.public_key, sizeof(gone));
		more = kwg_device_next_peer(h.dev, gone, now, &s);
		/* Each second one goes once the next is known. */
		if (n % 2)
			ck_assert(kwg_device_remove_peer(h.dev, gone, now, wall));
	}
	ck_assert_uint_eq(n, MANY);
	/* From one that is gone there is no way on. */
	ck_assert(!kwg_device_next_peer(h.dev, gone, now, &s));
	n = 0;
	for (more = kwg_device_next_peer(h.dev, NULL, now, &s); more; n++) {
		numbered(key, 2 * n);
		ck_assert_mem_eq(s.public_key, key, sizeof(key));
		more = kwg_device_next_peer(h.dev, key, now, &s);
	}
	ck_assert_uint_eq(n, MANY / 2);
	kwg_device_free(h.dev);
}
END_TEST

START_TEST(text_names_line_and_key)
{
	static const struct { const char *text, *want; } bad[] = {
		{ "get=1\n\n", "line 1: set=1" },
		{ "set=1\nlisten_port=70000\n\n", "line 2, listen_port" },
		{ "set=1\nlisten_port=7\nfwmark=x\n\n", "line 3, fwmark" },
		{ "set=1\nlisten_port=7\nsecret=AAAA\n\n", "line 3: this key" },
		{ "set=1\nlisten_port=7\n", "line 3: there it breaks off" },
	};
	char text[300], hex[KWG_KEY_HEX];
	struct kwg_peer_state s;
	struct host h;
	unsigned i;

	host_begin(&h, false);
	for (i = 0; i < N_OF(bad); i++) {
		ck_assert_int_eq(kwg_device_set(h.dev, bad[i].text, strlen(bad[i].text), now, wall, &err),
				 KWG_ERR_CONFIG);
		ck_assert_msg(strstr(err.text, bad[i].want), "%s", err.text);
		ck_assert_ptr_null(strstr(err.text, "AAAA"));
	}
	snprintf(text, sizeof(text), "set=1\npublic_key=%s\nendpoint=[fe80::1%%eth7]:5\n\n",
		 kwg_key_hex(hex, raw[0][1]));
	ck_assert_int_eq(kwg_device_set(h.dev, text, strlen(text), now, wall, &err), 0);
	ck_assert(kwg_device_peer(h.dev, raw[0][1], now, &s));
	ck_assert_uint_eq(s.endpoint.family, 6);
	ck_assert_uint_eq(s.endpoint.scope, 7);
	kwg_device_free(h.dev);
}
END_TEST

/* ---- tunnels ------------------------------------------------------------------------------------ */

static struct kwg_tunnel *tunnel(unsigned side)
{
	struct kwg_tunnel *t;

	ck_assert_int_eq(kwg_tunnel_new(&t, keys[side][0], keys[!side][1], NULL, 0, now, wall, NULL), 0);
	return t;
}

/* From a to b, with all that follows, until nothing is left. Returns the packets b got. */
static unsigned carry(struct kwg_tunnel *a, struct kwg_tunnel *b, const uint8_t *msg, size_t len)
{
	uint8_t out[ROOM];
	size_t out_len = sizeof(out);
	unsigned n = 0;
	enum kwg_tunnel_op op = kwg_tunnel_read(b, msg, len, out, &out_len, now, wall);

	for (; op == KWG_TUNNEL_SEND || op == KWG_TUNNEL_DELIVER;
	     op = kwg_tunnel_read(b, NULL, 0, out, &out_len, now, wall)) {
		if (op == KWG_TUNNEL_SEND)
			carry(b, a, out, out_len);
		else
			n++;
		out_len = sizeof(out);
	}
	return n;
}

static bool has_session(const struct kwg_tunnel *t)
{
	struct kwg_tunnel_stats s;

	kwg_tunnel_stats(t, now, &s);
	return s.has_session;
}

static void meet(struct kwg_tunnel *a, struct kwg_tunnel *b)
{
	uint8_t out[ROOM];
	size_t len = sizeof(out);

	ck_assert_int_eq(kwg_tunnel_handshake(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	carry(a, b, out, len);
}

START_TEST(tunnel_verdicts)
{
	struct kwg_tunnel *a = tunnel(0), *b = tunnel(1);
	uint8_t p[100], out[ROOM], in[ROOM];
	size_t len = sizeof(out), in_len = sizeof(in);
	struct kwg_tunnel_stats s;

	ck_assert_int_eq(kwg_tunnel_write(a, "no packet at all, though long", 29, out, &len, now, wall),
			 KWG_TUNNEL_DROPPED);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_write(a, p, 0, out, &len, now, wall), KWG_TUNNEL_DROPPED);
	len = sizeof(out);
	packet(p, 100, 0);
	ck_assert_int_eq(kwg_tunnel_write(a, p, 99, out, &len, now, wall), KWG_TUNNEL_DROPPED);
	kwg_tunnel_stats(a, now, &s);
	ck_assert_uint_eq(s.n_waiting, 0);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_write(a, p, 100, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(kwg_tunnel_tos(a), 0x88);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_write(a, p, 100, out, &len, now, wall), KWG_TUNNEL_KEPT);
	kwg_tunnel_stats(a, now, &s);
	ck_assert_uint_eq(s.n_waiting, 2);
	kwg_tunnel_free(a);
	a = tunnel(0);
	now += 10 * S;
	wall += 10 * S;
	meet(a, b);
	/* ECN: both ways, and nothing else of the inner byte. */
	packet(p, 100, 0x03 | 0x20);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_write(a, p, 100, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(kwg_tunnel_tos(a), 0x03);
	packet(p, 100, 0x02);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_write(a, p, 100, out, &len, now, wall), KWG_TUNNEL_SEND);
	kwg_tunnel_set_read_tos(b, 0x03);
	ck_assert_int_eq(kwg_tunnel_read(b, out, len, in, &in_len, now, wall), KWG_TUNNEL_DELIVER);
	ck_assert_uint_eq(in[1], 0x03);
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

static void note_event(void *arg, enum kwg_event event)
{
	char *text = arg;

	ck_assert_uint_lt(strlen(text), 60);
	snprintf(text + strlen(text), 4, "%d ", event);
}

START_TEST(tunnel_events)
{
	struct kwg_tunnel *a = tunnel(0), *b = tunnel(1);
	char of_a[64] = "", of_b[64] = "", want[64];
	uint8_t out[ROOM];
	uint64_t due;
	size_t len;
	unsigned i;

	kwg_tunnel_on_event(a, note_event, of_a);
	kwg_tunnel_on_event(b, note_event, of_b);
	meet(a, b);
	snprintf(want, sizeof(want), "%d %d ", KWG_EVENT_INITIATION_SENT, KWG_EVENT_RESPONSE_RECEIVED);
	/* Whoever began tells the other that it has the session, by an empty packet. */
	ck_assert_int_eq(strncmp(of_a, want, strlen(want)), 0);
	snprintf(want, sizeof(want), "%d ", KWG_EVENT_KEEPALIVE_SENT);
	ck_assert_str_eq(of_a + strlen(of_a) - strlen(want), want);
	snprintf(want, sizeof(want), "%d %d ", KWG_EVENT_INITIATION_RECEIVED, KWG_EVENT_RESPONSE_SENT);
	ck_assert_str_eq(of_b, want);
	/* Nobody listens, then somebody again; nobody answers. */
	kwg_tunnel_on_event(b, NULL, NULL);
	*of_a = '\0';
	kwg_tunnel_on_event(a, NULL, NULL);
	now += 300 * S;
	wall += 300 * S;
	len = sizeof(out);
	kwg_tunnel_write(a, out, packet(out, 40, 0), out, &len, now, wall);
	ck_assert_str_eq(of_a, "");
	kwg_tunnel_on_event(a, note_event, of_a);
	for (i = 0; i < 100 && (due = kwg_tunnel_deadline(a)) != UINT64_MAX; i++) {
		if (due > now) {
			wall += due - now;
			now = due;
		}
		len = sizeof(out);
		kwg_tunnel_tick(a, out, &len, now, wall);
		if (strlen(of_a) > 50)
			memmove(of_a, of_a + 20, strlen(of_a + 20) + 1);
	}
	snprintf(want, sizeof(want), "%d %d %d ", KWG_EVENT_INITIATION_SENT, KWG_EVENT_GAVE_UP,
		 KWG_EVENT_KEYS_ERASED);
	ck_assert_msg(strstr(of_a, want), "%s", of_a);
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

START_TEST(tunnel_psk)
{
	struct kwg_tunnel *a = tunnel(0), *b = tunnel(1);
	char psk[KWG_KEY_TEXT], zero[KWG_KEY_TEXT];
	uint8_t p[100], out[ROOM], none[KWG_KEY_LEN] = { 0 };
	size_t len;

	ck_assert_int_eq(kwg_genpsk(psk, NULL), 0);
	ck_assert_int_eq(kwg_tunnel_set_psk(a, "no key", &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_set_psk(a, kwg_key_text(zero, none), &err), KWG_ERR_USAGE);
	meet(a, b);
	ck_assert_int_eq(kwg_tunnel_set_psk(a, psk, &err), 0);
	/* The session goes on. */
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_write(a, p, packet(p, 100, 0), out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(carry(a, b, out, len), 1);
	/* One that begins does not, until the other has the key, too. */
	now += 200 * S;
	wall += 200 * S;
	meet(a, b);
	ck_assert(!has_session(a));
	ck_assert_int_eq(kwg_tunnel_set_psk(b, psk, &err), 0);
	now += 10 * S;
	wall += 10 * S;
	meet(a, b);
	ck_assert(has_session(a));
	ck_assert_int_eq(kwg_tunnel_set_psk(a, NULL, &err), 0);
	ck_assert_int_eq(kwg_tunnel_set_psk(b, NULL, &err), 0);
	now += 200 * S;
	wall += 200 * S;
	meet(a, b);
	ck_assert(has_session(a));
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

START_TEST(tunnel_keepalive)
{
	struct kwg_tunnel *a = tunnel(0), *b = tunnel(1);
	uint8_t out[ROOM];
	size_t len = sizeof(out);

	ck_assert_int_eq(kwg_tunnel_set_keepalive(a, 65536, now, wall, &err), KWG_ERR_USAGE);
	meet(a, b);
	ck_assert_int_eq(kwg_tunnel_set_keepalive(a, 10, now, wall, &err), 0);
	while (kwg_tunnel_tick(a, out, &len, now, wall) != KWG_TUNNEL_DONE)
		len = sizeof(out);
	ck_assert_uint_eq(kwg_tunnel_deadline(a), now + 10 * S);
	now += 10 * S;
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_tick(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 32);
	ck_assert_uint_eq(kwg_tunnel_deadline(a), now + 10 * S);
	ck_assert_int_eq(kwg_tunnel_set_keepalive(a, 0, now, wall, &err), 0);
	ck_assert_uint_gt(kwg_tunnel_deadline(a), now + 10 * S);
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

START_TEST(tunnel_wants_keys)
{
	static const uint8_t none[KWG_KEY_LEN];
	char zero[KWG_KEY_TEXT], hex[2][KWG_KEY_HEX];
	struct kwg_tunnel *t = NULL;

	kwg_key_text(zero, none);
	ck_assert_int_eq(kwg_tunnel_new(&t, zero, keys[1][1], NULL, 0, now, wall, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_new(&t, keys[0][0], zero, NULL, 0, now, wall, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_new(&t, keys[0][0], keys[1][1], zero, 0, now, wall, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_new(&t, keys[0][0], keys[0][1], NULL, 0, now, wall, &err), KWG_ERR_USAGE);
	ck_assert_ptr_null(t);
	ck_assert_int_eq(kwg_tunnel_new(&t, kwg_key_hex(hex[0], raw[0][0]), kwg_key_hex(hex[1], raw[1][1]),
					NULL, 0, now, wall, &err), 0);
	kwg_tunnel_free(t);
}
END_TEST

/* Counts what the library allocates in one call, not what check does. */
#define COUNTED(call) (counts = true, (call), counts = false)

/* What a tunnel takes, without and with sessions, and that all of it comes back. */
START_TEST(tunnel_memory)
{
	struct kwg_tunnel *a = NULL, *b = tunnel(1);
	uint8_t init[ROOM], response[ROOM];
	enum kwg_tunnel_op op = KWG_TUNNEL_DONE;
	size_t len, n, alone;
	unsigned i;

	COUNTED(kwg_tunnel_new(&a, keys[0][0], keys[1][1], NULL, 0, now, wall, NULL));
	ck_assert_ptr_nonnull(a);
	alone = used;
	/* Until it has the current, the previous and the next session. */
	for (i = 0; i < 4; i++) {
		now += 10 * S;
		wall += 10 * S;
		len = sizeof(init);
		COUNTED(op = kwg_tunnel_handshake(a, init, &len, now, wall));
		ck_assert_int_eq(op, KWG_TUNNEL_SEND);
		n = sizeof(response);
		ck_assert_int_eq(kwg_tunnel_read(b, init, len, response, &n, now, wall), KWG_TUNNEL_SEND);
		len = sizeof(init);
		COUNTED(op = kwg_tunnel_read(a, response, n, init, &len, now, wall));
		ck_assert_int_eq(op, KWG_TUNNEL_SEND);
	}
	/* And one of the other side's, which it has not used yet. */
	now += 10 * S;
	wall += 10 * S;
	len = sizeof(init);
	ck_assert_int_eq(kwg_tunnel_handshake(b, init, &len, now, wall), KWG_TUNNEL_SEND);
	n = sizeof(response);
	COUNTED(op = kwg_tunnel_read(a, init, len, response, &n, now, wall));
	ck_assert_int_eq(op, KWG_TUNNEL_SEND);
	ck_assert(has_session(a));
	printf("# a tunnel takes %zu bytes, %zu with three sessions\n", alone, used);
	ck_assert_uint_gt(alone, 1000);
	ck_assert_uint_le(alone, 8192);
	ck_assert_uint_le(used, 16384);
	COUNTED(kwg_tunnel_free(a));
	ck_assert_uint_eq(used, 0);
	kwg_tunnel_free(b);
}
END_TEST

/* ---- many tunnels behind one socket -------------------------------------------------------------- */

START_TEST(prefix_refused)
{
	struct kwg_tunnel *t = tunnel(0);
	uint8_t out[ROOM];
	size_t len = sizeof(out);

	ck_assert_int_eq(kwg_tunnel_set_index_prefix(t, 0, 0, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_set_index_prefix(t, 0, 25, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_set_index_prefix(t, 4, 2, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_set_index_prefix(t, 3, 2, &err), 0);
	ck_assert_int_eq(kwg_tunnel_handshake(t, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_int_eq(kwg_tunnel_set_index_prefix(t, 1, 2, &err), KWG_ERR_USAGE);
	kwg_tunnel_free(t);
}
END_TEST

/* Each answer of the device has to lead to its tunnel, at 24 bits, so that indices begin with nothing else. */
START_TEST(ten_thousand_tunnels)
{
	const struct kwg_endpoint from = { .family = 4, .addr = { 192, 0, 2, 1 }, .port = 7 };
	static struct kwg_tunnel *t[MANY];
	char private_key[KWG_KEY_TEXT], public_key[KWG_KEY_TEXT];
	uint8_t out[ROOM], p[40], who[KWG_KEY_LEN];
	struct kwg_peer peer;
	struct host h;
	size_t len;
	unsigned i;

	host_begin(&h, false);
	for (i = 0; i < MANY; i++) {
		kwg_genkey(private_key, NULL);
		kwg_pubkey(public_key, private_key, NULL);
		kwg_key_parse(who, public_key, NULL);
		peer = peer_of(who);
		ck_assert_int_eq(set(&h, &peer), 0);
		ck_assert_int_eq(kwg_tunnel_new(&t[i], private_key, keys[1][1], NULL, 0, now, wall, NULL), 0);
		ck_assert_int_eq(kwg_tunnel_set_index_prefix(t[i], i, 24, NULL), 0);
	}
	for (i = 0; i < MANY; i++) {
		now += S / 1000;
		len = sizeof(out);
		ck_assert_int_eq(kwg_tunnel_handshake(t[i], out, &len, now, wall), KWG_TUNNEL_SEND);
		ck_assert_uint_eq(kwg_datagram_index(out, len), 0);
		ck_assert_int_eq(kwg_device_read(h.dev, &from, out, len, 0, now, wall), KWG_CONSUMED);
		ck_assert_uint_eq(h.out_len, 92);
		ck_assert_uint_eq(kwg_datagram_index(h.out, h.out_len) >> 8, i);
		len = sizeof(out);
		ck_assert_int_eq(kwg_tunnel_read(t[i], h.out, h.out_len, out, &len, now, wall),
				 KWG_TUNNEL_SEND);
		kwg_device_read(h.dev, &from, out, len, 0, now, wall);
		ck_assert(has_session(t[i]));
	}
	/* Data: each peer has an address of its own. */
	for (i = 0; i < MANY; i += 97) {
		len = sizeof(out);
		ck_assert_int_eq(kwg_tunnel_write(t[i], p, packet(p, 40, 0), out, &len, now, wall),
				 KWG_TUNNEL_SEND);
		ck_assert_int_eq(kwg_device_read(h.dev, &from, out, len, 0, now, wall), KWG_DROPPED_CONTENT);
	}
	for (i = 0; i < MANY; i++)
		kwg_tunnel_free(t[i]);
	kwg_device_free(h.dev);
}
END_TEST

START_TEST(index_of_datagrams)
{
	uint8_t d[148] = { 0 };
	unsigned type;

	for (type = 0; type < 256; type++) {
		d[0] = (uint8_t)type;
		d[4] = 1;
		d[8] = 2;
		ck_assert_uint_eq(kwg_datagram_index(d, sizeof(d)),
				  type == 2 ? 2 : type == 3 || type == 4 ? 1 : 0);
		ck_assert_uint_eq(kwg_datagram_index(d, 15), 0);
	}
	ck_assert_uint_eq(kwg_datagram_index(d, 0), 0);
}
END_TEST

/* Under load a device answers with cookies, which have the index elsewhere than responses. */
START_TEST(cookie_finds_its_tunnel)
{
	const struct kwg_endpoint from = { .family = 4, .addr = { 192, 0, 2, 1 }, .port = 7 };
	struct kwg_peer peer = peer_of(raw[0][1]);
	struct kwg_tunnel *t = tunnel(0);
	char events[64] = "", want[8];
	uint8_t out[ROOM], more[ROOM];
	struct host h;
	size_t len = sizeof(out), n;
	unsigned i;

	host_begin(&h, false);
	ck_assert_int_eq(set(&h, &peer), 0);
	ck_assert_int_eq(kwg_tunnel_set_index_prefix(t, 0x123, 12, NULL), 0);
	kwg_tunnel_on_event(t, note_event, events);
	ck_assert_int_eq(kwg_tunnel_handshake(t, out, &len, now, wall), KWG_TUNNEL_SEND);
	for (i = 0; i < 5000 && h.out_len != 64; i++)
		kwg_device_read(h.dev, &from, out, len, 0, now, wall);
	ck_assert_uint_eq(h.out_len, 64);
	ck_assert_uint_eq(h.events[KWG_EVENT_COOKIE_REPLY_SENT], 1);
	ck_assert_uint_eq(kwg_datagram_index(h.out, 64) >> 20, 0x123);
	n = sizeof(more);
	ck_assert_int_eq(kwg_tunnel_read(t, h.out, 64, more, &n, now, wall), KWG_TUNNEL_DONE);
	snprintf(want, sizeof(want), "%d ", KWG_EVENT_COOKIE_RECEIVED);
	ck_assert_msg(strstr(events, want), "%s", events);
	kwg_device_free(h.dev);
	kwg_tunnel_free(t);
}
END_TEST

START_TEST(sender_of_an_initiation)
{
	struct kwg_tunnel *a = tunnel(0), *b = tunnel(1), *other;
	uint8_t out[ROOM], who[KWG_KEY_LEN] = { 0 };
	char private_key[KWG_KEY_TEXT], public_key[KWG_KEY_TEXT];
	size_t len = sizeof(out), i;

	kwg_genkey(private_key, NULL);
	kwg_pubkey(public_key, private_key, NULL);
	/* Of the same owner, but to somebody else. */
	ck_assert_int_eq(kwg_tunnel_new(&other, keys[1][0], public_key, NULL, 0, now, wall, NULL), 0);
	ck_assert_int_eq(kwg_tunnel_handshake(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert(kwg_tunnel_sender(other, out, len, who));
	ck_assert_mem_eq(who, raw[0][1], sizeof(who));
	ck_assert(!kwg_tunnel_sender(a, out, len, who));
	ck_assert(!kwg_tunnel_sender(other, out, len - 1, who));
	for (i = 0; i < len - 16; i += 7) {
		out[i] ^= 1;
		ck_assert(!kwg_tunnel_sender(other, out, len, who));
		out[i] ^= 1;
	}
	/* Nothing has changed: it is still taken. */
	ck_assert(kwg_tunnel_sender(b, out, len, who));
	carry(a, b, out, len);
	ck_assert(has_session(a));
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
	kwg_tunnel_free(other);
}
END_TEST

/* ---- memory that ends ---------------------------------------------------------------------------- */

static int new_tunnel(void)
{
	struct kwg_tunnel *t = NULL;
	/* Without keepalives: an initiation that finds no memory is lost, as the network loses some. */
	int ret = kwg_tunnel_new(&t, keys[0][0], keys[1][1], keys[1][1], 0, now, wall, &err);

	kwg_tunnel_free(t);
	return ret;
}

static int new_device(void)
{
	static const struct kwg_network nets[] = { { 4, { 10, 1 }, 16 }, { 6, { 0xfd, 0, 1 }, 40 } };
	const struct kwg_device_callbacks cb = { .size = sizeof(cb), .send = on_send, .deliver = on_deliver };
	struct kwg_peer p = peer_of(raw[0][1]);
	struct kwg_device *dev = NULL;
	char *text = NULL;
	size_t len;
	int ret = kwg_device_new(&dev, &cb, &err);

	p.allowed_ips = nets;
	p.n_allowed_ips = 2;
	if (!ret)
		ret = kwg_device_set_private_key(dev, raw[1][0], now, wall, &err);
	if (!ret)
		ret = kwg_device_set_peer(dev, &p, now, wall, &err);
	if (!ret)
		ret = kwg_device_set(dev, "set=1\nlisten_port=7\n\n", 21, now, wall, &err);
	if (!ret)
		ret = kwg_device_get(dev, &text, &len, &err);
	kwg_text_free(text);
	kwg_device_free(dev);
	return ret;
}

static int new_plan(void)
{
	static const char text[] = "[mesh]\nformat = 1\n[local]\ninterface = wg7\n";
	struct kwg_config *cfg = kwg_config_new();
	struct kwg_plan *plan = NULL;
	char digest[KWG_DIGEST_TEXT], node[400];
	char *out[6] = { NULL };
	size_t i;
	int ret = 0;

	if (!cfg) {
		err.status = KWG_ERR_NOMEM;
		return KWG_ERR_NOMEM;
	}

	snprintf(node, sizeof(node), "[node]\nname = a\nlocation = x\npublic-key = %s\n"
		 "endpoint = 203.0.113.10:51820\ninternal-ip = 192.168.1.10/24\npod-cidr = 10.42.0.0/24\n",
		 keys[0][1]);
	if (!ret)
		ret = kwg_config_add_text(cfg, "m", text, strlen(text), &err);
	if (!ret)
		ret = kwg_config_add_text(cfg, "n", node, strlen(node), &err);
	if (!ret)
		ret = kwg_config_set_local(cfg, "interface", "wg8", &err);
	if (!ret)
		ret = kwg_config_finish(cfg, &err);
	if (!ret)
		ret = kwg_config_json(cfg, &out[0], NULL, &err);
	if (!ret)
		ret = kwg_graph_dot(cfg, &out[1], NULL, &err);
	if (!ret)
		ret = kwg_plan_new(&plan, cfg, "a", &err);
	if (!ret)
		ret = kwg_plan_text(plan, &out[2], NULL, &err);
	if (!ret)
		ret = kwg_plan_json(plan, &out[3], NULL, &err);
	if (!ret)
		ret = kwg_plan_digest(plan, digest, &err);
	if (!ret)
		ret = kwg_showconf_node(cfg, "a", false, &out[4], NULL, &err);
	if (!ret)
		ret = kwg_config_keys(&out[5], NULL, &err);
	for (i = 0; i < N_OF(out); i++)
		kwg_text_free(out[i]);
	kwg_plan_free(plan);
	kwg_config_free(cfg);
	return ret;
}

/* What is made of one change, and what was before it stays. */
static int use_edit(struct kwg_edit *e, struct kwg_config **after)
{
	char *diff = NULL;
	int ret = kwg_edit_config(e, after, &err);

	if (!ret)
		ret = kwg_edit_diff(e, &diff, NULL, &err);
	if (!ret && !strstr(diff, "\n+"))
		ret = KWG_ERR_USAGE;
	kwg_text_free(diff);
	return ret;
}

static int new_edit(void)
{
	static const char mesh[] = "[mesh]\nformat = 1\n[node]\nname = a\npersistent-keepalive = 25\n";
	static const char section[] = "[peer]\nname = x\n# y\nallowed-ip = 10.9.0.1/32\n";
	static const char *const settings[] = { "allowed-ip=10.9.0.2/32", "allowed-ip = 10.9.0.3/32", "mtu=1400" };
	struct kwg_config *cfg = kwg_config_new(), *after = NULL, *last = NULL;
	struct kwg_edit *e[3] = { NULL };
	char *address = NULL;
	int ret = 0;

	if (!cfg) {
		err.status = KWG_ERR_NOMEM;
		return KWG_ERR_NOMEM;
	}
	ret = kwg_config_add_text(cfg, "m", mesh, sizeof(mesh) - 1, &err);
	if (!ret)
		ret = kwg_config_finish(cfg, &err);
	if (!ret)
		ret = kwg_config_free_addresses(cfg, &address, NULL, &err);
	if (!ret)
		ret = kwg_edit_add(&e[0], cfg, NULL, true, "p", section, sizeof(section) - 1, settings, 3, &err);
	if (!ret)
		ret = use_edit(e[0], &after);
	if (!ret)
		ret = kwg_edit_set(&e[1], after, true, "p", settings, 1, &err);
	if (!ret)
		ret = use_edit(e[1], &last);
	if (!ret)
		ret = kwg_edit_remove(&e[2], after, true, "p", &err);
	kwg_edit_free(e[2]);
	kwg_edit_free(e[1]);
	kwg_edit_free(e[0]);
	kwg_text_free(address);
	kwg_config_free(last);
	kwg_config_free(after);
	kwg_config_free(cfg);
	return ret;
}

/* One allocation after the other fails, until none does. */
static unsigned each_fails(int (*call)(void))
{
	unsigned n;
	int ret;

	for (n = 1; n < 5000; n++) {
		memset(&err, 0, sizeof(err));
		has_failed = false;
		left_to_fail = n;
		ret = call();
		left_to_fail = 0;
		if (!has_failed) {
			ck_assert_int_eq(ret, 0);
			return n - 1;
		}
		ck_assert_msg(ret == KWG_ERR_NOMEM, "allocation %u: %d %s", n, ret, err.text);
		ck_assert_int_eq(err.status, KWG_ERR_NOMEM);
	}
	ck_abort_msg("it never ends");
}

START_TEST(no_memory)
{
	ck_assert_uint_gt(each_fails(new_tunnel), 5);
	ck_assert_uint_gt(each_fails(new_device), 8);
	ck_assert_uint_gt(each_fails(new_plan), 20);
	ck_assert_uint_gt(each_fails(new_edit), 20);
}
END_TEST

START_TEST(no_locked_memory)
{
	struct kwg_peer p = peer_of(raw[0][1]);
	struct host h;

	host_begin(&h, true);
	ck_assert_uint_gt(h.locked, 0);
	h.no_memory = true;
	ck_assert_int_eq(set(&h, &p), KWG_ERR_NOMEM);
	h.no_memory = false;
	ck_assert_int_eq(set(&h, &p), 0);
	kwg_device_free(h.dev);
	ck_assert_uint_eq(h.locked, 0);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, version_and_features);
	tcase_add_test(tc, key_conversions);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, smaller);
	tcase_add_test(tc, callbacks_missing);
	tcase_add_test(tc, finished_configuration);
	tcase_add_test(tc, change_of_a_file);
	tcase_add_test(tc, peer_fields);
	tcase_add_test(tc, peer_that_cannot_be);
	tcase_add_test(tc, walk);
	tcase_add_test(tc, text_names_line_and_key);
	tcase_add_test(tc, tunnel_verdicts);
	tcase_add_test(tc, tunnel_events);
	tcase_add_test(tc, tunnel_psk);
	tcase_add_test(tc, tunnel_keepalive);
	tcase_add_test(tc, tunnel_wants_keys);
	tcase_add_test(tc, tunnel_memory);
	tcase_add_test(tc, prefix_refused);
	tcase_add_test(tc, ten_thousand_tunnels);
	tcase_add_test(tc, index_of_datagrams);
	tcase_add_test(tc, cookie_finds_its_tunnel);
	tcase_add_test(tc, sender_of_an_initiation);
	tcase_add_test(tc, no_memory);
	tcase_add_test(tc, no_locked_memory);
}

int main(void)
{
	return unit_run("api", add);
}
