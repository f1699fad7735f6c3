/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Networks that are equal, or one inside the other: each pair of kinds, in each relation,
 * for owners of each nearness, in a mesh where nothing else overlaps. What has to come of
 * it stands here once more, in other words than in lib/plan/verdict.c.
 */
#include "kilowg.h"
#include "plan/verdict.h"
#include "unit.h"

/* ---- what is right --------------------------------------------------- */

/*
 * A letter for each kind: Subnet, serVice-cidr, Pod-cidr, Internal-ip and its Network,
 * Wireguard address, Endpoint, allowed-Location-ip, Allowed-ip, and the endpoint of a
 * peer, which is Far. Of two nodes the one with the earlier letter is the leader a1.
 */
static const char letters[] = "SVPINWELAF";

/*
 * "XYv": X lies inside Y, or equals it, from which comes v: w a warning, l a warning that
 * something is left out, E an error. Of pairs that do not stand here nothing may be said.
 */
static const struct {
	enum kwgi_nearness near;
	const char *inside, *equal;
} right[] = {
	{ KWGI_FAR,
	  "SVw SPw SNw VSw VPw PSw PVw PPE PNw ISw IVw IPw INw NSw NVw NPw NNw WVw WPw WNw "
	  "ESw EVw EPw ELw EAw LSw LVw LPl LNw LLl LAl ASw AVw APl ANw ALl FSw FPw FLw FAw ",
	  "SVw SPw SNw SLw SAw VPw VIw VNw VWw VEw VLw VAw PPE PIw PNw PWw PEw PLl PAl PFw "
	  "IIw IWw IEw ILl IAl IFw NNw NLw NAw WEw WLl WAl WFw EEw ELw EAl EFw LLl LAl LFw "
	  "AAl AFw FFw " },
	{ KWGI_LOCATION,
	  "PPE PNw IPw NPw WPw WNw EPw ELw LPl LNw LLl ",
	  "PPE PIw PNw PWw PEw PLl IIw IWw IEw ILl NLw WEw WLl EEw ELw LLl " },
	{ KWGI_SEGMENT,
	  "PPE PNw IPw NPw WPw WNw EPw ELw LPl ",
	  "PPE PIw PNw PWw PEw PLl IIw IWw ILl WLl ELw " },
	{ KWGI_OWN,
	  "PPE PNw IPw NPw WPw WNw EPE ELw LPl FAw ",
	  "PPE PIw PNw PWw PEE PLl IWw ILl WEw WLl ELw AAl AFw " },
};

static bool is_host(char k) { return strchr("IWEF", k); }
static bool of_mesh(char k) { return strchr("SV", k); }
static bool of_peer(char k) { return strchr("AF", k); }
static bool of_leader(char k) { return strchr("WE", k); }
/* A node has one of it. */
static bool is_single(char k) { return strchr("SINWEF", k); }

/* Can there be such a pair? */
static bool is_possible(enum kwgi_nearness near, bool equal, char a, char b)
{
	bool one_node = near != KWGI_FAR;

	if (equal ? (strchr("SN", a) && is_host(b)) || (strchr("SN", b) && is_host(a)) : is_host(b))
		return false;
	if (strchr("SW", a) && strchr("SW", b))
		return false;
	if (one_node && (of_mesh(a) || of_mesh(b)))
		return false;
	if (one_node && (of_peer(a) || of_peer(b)))
		return near == KWGI_OWN && of_peer(a) && of_peer(b) && (a != b || !is_single(a));
	if (near == KWGI_SEGMENT && of_leader(a) && of_leader(b))
		return false;
	if (a == b && (of_mesh(a) || a == 'W'))
		return a == 'V';
	/* One key holds both. */
	if (near == KWGI_OWN && strchr("IN", a) && strchr("IN", b))
		return false;
	return near != KWGI_OWN || a != b || !is_single(a);
}

static char verdict(const char *list, char a, char b)
{
	const char *p;

	for (p = list; *p; p += 4)
		if (p[0] == a && p[1] == b)
			return p[2];
	return '.';
}

/* ---- a mesh ---------------------------------------------------------- */

enum { A1, A2, B1, P, Q, MESH, N_OWNERS };
enum { LINES = 40, LINE = 80 };

struct mesh {
	char lines[N_OWNERS][LINES][LINE];
	unsigned n[N_OWNERS];
};

static void put(struct mesh *m, int owner, const char *key, const char *value)
{
	ck_assert_uint_lt(m->n[owner], LINES);
	snprintf(m->lines[owner][m->n[owner]++], LINE, "%s = %s", key, value);
}

/* Instead of the one that there is, if the key is a single one; or else first of them. */
static void set(struct mesh *m, int owner, const char *key, const char *value, bool again)
{
	size_t len = strlen(key);
	unsigned i;

	for (i = 0; !again && i < m->n[owner]; i++) {
		char *line = m->lines[owner][i];

		if (!strncmp(line, key, len) && line[len] == ' ') {
			snprintf(line, LINE, "%s = %s", key, value);
			return;
		}
	}
	put(m, owner, key, value);
}

static void begin(struct mesh *m, bool full)
{
	static const char *const names[] = { "a1", "a2", "b1", "p", "q" };
	char text[LINE];
	int i;

	memset(m, 0, sizeof(*m));
	put(m, MESH, "format", "1");
	put(m, MESH, "granularity", full ? "full" : "location");
	put(m, MESH, "subnet", "172.20.0.0/16");
	/* Networks that are nobody's private ones have no word of their own here. */
	put(m, MESH, "trusted-network", "198.18.0.0/15");
	for (i = A1; i <= Q; i++) {
		put(m, i, "name", names[i]);
		put(m, i, "public-key", key_text((unsigned)i + 1));
		if (i >= P) {
			snprintf(text, sizeof(text), "10.5.0.%d/32", i);
			put(m, i, "allowed-ip", text);
			continue;
		}
		put(m, i, "location", i == B1 ? "b" : "a");
		put(m, i, "leader", i == A1 ? "yes" : "no");
		snprintf(text, sizeof(text), "203.0.113.%d:51820", i + 1);
		put(m, i, "endpoint", text);
		snprintf(text, sizeof(text), "10.2.%d.0/24", i);
		put(m, i, "pod-cidr", text);
		snprintf(text, sizeof(text), "192.168.%d.%d/24", i == B1, i + 1);
		put(m, i, "internal-ip", text);
	}
}

/* The text, and in *line that of the key of the owner that has this value. */
static unsigned line_of(const struct mesh *m, int owner, const char *text, const char *key,
			const char *value, bool last)
{
	char want[LINE], header[] = "\n[xxxx]\nname = xx\n";
	const char *at, *found = NULL, *p;
	unsigned line = 1;

	(void)m;
	snprintf(want, sizeof(want), "\n%s = %s\n", key, value);
	if (owner == MESH) {
		at = text;
	} else {
		snprintf(header, sizeof(header), "\nname = %s\n", m->lines[owner][0] + strlen("name = "));
		at = strstr(text, header);
	}
	ck_assert_ptr_nonnull(at);
	for (p = strstr(at, want); p && (!found || last); p = strstr(p + 1, want))
		found = p;
	if (!found)
		return 0;
	for (p = text; p <= found; p++)
		line += *p == '\n';
	return line;
}

static char *text_of(const struct mesh *m)
{
	static const char *const sections[] = { "node", "node", "node", "peer", "peer", "mesh" };
	struct kwgi_buf b = { 0 };
	unsigned j;
	int i;

	for (i = 0; i < N_OWNERS; i++) {
		kwgi_buf_printf(&b, "[%s]\n", sections[i]);
		for (j = 0; j < m->n[i]; j++)
			kwgi_buf_printf(&b, "%s\n", m->lines[i][j]);
	}
	return kwgi_buf_take(&b, NULL);
}

/* ---- pairs ----------------------------------------------------------- */

enum role { INNER, OUTER, SAME };

/* One of the pair: the value of its key. WireGuard addresses are what the subnet makes them. */
static const char *value_of(char k, enum role role, char other)
{
	bool wireguard = other == 'W';

	if (k == 'N' && role == OUTER)
		return wireguard ? "172.30.9.9/12" : "198.18.200.9/16";
	if (k == 'N')
		return "198.18.7.9/24";
	if (role == OUTER)
		return wireguard ? "172.16.0.0/12" : "198.18.0.0/16";
	if (k == 'E' || k == 'F')
		return wireguard && role == SAME ? "172.20.0.1:51820" : "198.18.7.9:51820";
	if (k == 'I' || (role == SAME && is_host(other)))
		return wireguard ? "172.20.0.1/32" : "198.18.7.9/32";
	return role == SAME && (is_host(k) || is_host(other)) ? "198.18.7.9/32" : "198.18.7.0/24";
}

static const char *key_of(char k)
{
	static const char *const keys[] = {
		"subnet", "service-cidr", "pod-cidr", "internal-ip", "internal-ip", "", "endpoint",
		"allowed-location-ip", "allowed-ip", "endpoint",
	};

	return keys[strchr(letters, k) - letters];
}

static int owner_of(enum kwgi_nearness near, char k, bool first)
{
	if (of_mesh(k))
		return MESH;
	if (near == KWGI_OWN)
		return of_peer(k) ? P : A1;
	if (of_peer(k))
		return first ? P : Q;
	return first ? A1 : near == KWGI_FAR ? B1 : A2;
}

static void put_value(struct mesh *m, char k, int owner, const char *value, bool again)
{
	if (k != 'W')
		set(m, owner, key_of(k), value, again);
}

struct answer {
	unsigned errors, warnings, left_out;
	bool named;			/* by one remark that stands at one of the two, and names the other */
};

static void look(struct answer *a, const char *text, unsigned x, unsigned y)
{
	struct kwg_config *cfg = kwg_config_new();
	char at_x[16], at_y[16];
	size_t i;

	*a = (struct answer){ 0 };
	snprintf(at_x, sizeof(at_x), "(t:%u)", x);
	snprintf(at_y, sizeof(at_y), "(t:%u)", y);
	ck_assert_int_eq(kwg_config_add_text(cfg, "t", text, strlen(text), NULL), 0);
	(void)kwg_config_finish(cfg, NULL);
	for (i = 0; i < kwg_config_diag_count(cfg); i++) {
		const struct kwg_diag *d = kwg_config_diag(cfg, i);

		if (d->severity == KWG_ERROR)
			a->errors++;
		else if (strstr(d->text, "is left out: it "))
			a->left_out++;
		else
			a->warnings++;
		/* What would be right comes last. */
		ck_assert_msg(strstr(d->text, "; ") && strstr(d->text, "(t:"), "%s", d->text);
		a->named |= (d->line == x && strstr(d->text, at_y)) ||
			    (d->line == y && strstr(d->text, at_x));
	}
	kwg_config_free(cfg);
}

static bool is_right(const struct answer *a, char want)
{
	switch (want) {
	case 'E':
		return a->errors && !a->left_out && !a->warnings;
	case 'l':
		return !a->errors && a->left_out == 1 && !a->warnings;
	case 'w':
		return !a->errors && !a->left_out && a->warnings;
	default:
		return !a->errors && !a->left_out && !a->warnings;
	}
}

/* x inside y, or equal to it. */
static void check_pair(enum kwgi_nearness near, bool equal, char x, char y, char want)
{
	bool x_first = x == y || strchr(letters, x) < strchr(letters, y);
	const char *value_x = value_of(x, equal ? SAME : INNER, y);
	const char *value_y = value_of(y, equal ? SAME : OUTER, x);
	int owner_x, owner_y;
	struct answer a;
	struct mesh m;
	unsigned line_x, line_y;
	char *text;

	/* Of one network, and not with one address. */
	if (equal && x == 'N' && y == 'N')
		value_y = "198.18.7.10/24";
	/* The address of WireGuard is that of the leader. */
	if (near == KWGI_SEGMENT && (of_leader(x) || of_leader(y)))
		x_first = of_leader(x);
	owner_x = owner_of(near, x, x_first);
	owner_y = owner_of(near, y, !x_first);
	begin(&m, near == KWGI_LOCATION);
	put_value(&m, x, owner_x, value_x, false);
	put_value(&m, y, owner_y, value_y, owner_x == owner_y && x == y);
	text = text_of(&m);
	line_x = line_of(&m, owner_x, text, key_of(x), value_x, false);
	line_y = line_of(&m, owner_y, text, key_of(y), value_y, true);
	look(&a, text, line_x, line_y);
	ck_assert_msg(is_right(&a, want) && (a.named || want == '.' || x == 'W' || y == 'W'),
		      "%c %s %c, nearness %d: %u errors, %u left out, %u warnings%s instead of %c:\n%s",
		      x, equal ? "equals" : "inside", y, (int)near, a.errors, a.left_out, a.warnings,
		      a.named ? "" : ", lines not named", want, text);
	free(text);
}

START_TEST(each_pair)
{
	enum kwgi_nearness near = right[_i].near;
	const char *x, *y;
	unsigned n = 0;

	for (x = letters; *x; x++) {
		for (y = letters; *y; y++) {
			if (is_possible(near, false, *x, *y)) {
				check_pair(near, false, *x, *y, verdict(right[_i].inside, *x, *y));
				n++;
			}
			if (x <= y && is_possible(near, true, *x, *y)) {
				check_pair(near, true, *x, *y, verdict(right[_i].equal, *x, *y));
				n++;
			}
		}
	}
	ck_assert_uint_ge(n, 10);
}
END_TEST

/* ---- the manual page ------------------------------------------------- */

static const char *const names[KWGI_N_NET_KINDS] = {
	[KWGI_NET_SUBNET] = "subnet", [KWGI_NET_SERVICE] = "service-cidr",
	[KWGI_NET_POD] = "pod-cidr", [KWGI_NET_INTERNAL] = "internal-ip",
	[KWGI_NET_NETWORK] = "network", [KWGI_NET_WIREGUARD] = "WireGuard",
	[KWGI_NET_ENDPOINT] = "endpoint", [KWGI_NET_LOCATION] = "allowed-location-ip",
	[KWGI_NET_PEER] = "allowed-ip", [KWGI_NET_PEER_ENDPOINT] = "peer endpoint",
};

static int find_name(const char *const *list, int n, const char *s)
{
	int i;

	for (i = 0; i < n; i++)
		if (!strcmp(list[i], s))
			return i;
	return -1;
}

/* Of the table in the manual page: "first, second, owners, equal, inside, contains". */
struct row {
	int first, second;
	unsigned near;
	int verdict[KWGI_N_RELATIONS];
};

static bool parse_row(struct row *r, char *line)
{
	static const char *const verdicts[] = { "fine", "see", "warning", "left out", "error" };
	static const struct {
		const char *word;
		unsigned near;
	} nears[] = {
		{ "any", KWGI_ANY }, { "own", KWGI_OWN }, { "others", KWGI_ANY & ~KWGI_OWN },
		{ "another segment", KWGI_LOCATION | KWGI_FAR }, { "another location", KWGI_FAR },
	};
	char *field[6], *rest = line;
	size_t i;

	line[strcspn(line, "\n")] = '\0';
	for (i = 0; i < N_OF(field); i++)
		if (!(field[i] = strsep(&rest, "\t")))
			return false;
	r->first = find_name(names, KWGI_N_NET_KINDS, field[0]);
	r->second = find_name(names, KWGI_N_NET_KINDS, field[1]);
	if (rest || r->first < 0 || r->second < 0)
		return false;
	for (i = 0, r->near = 0; i < N_OF(nears); i++)
		if (!strcmp(nears[i].word, field[2]))
			r->near = nears[i].near;
	ck_assert_msg(r->near, "owners \"%s\"", field[2]);
	for (i = 0; i < KWGI_N_RELATIONS; i++) {
		r->verdict[i] = find_name(verdicts, N_OF(verdicts), field[3 + i]);
		ck_assert_msg(r->verdict[i] >= 0, "verdict \"%s\"", field[3 + i]);
	}
	return true;
}

static void check_cell(const struct row *rows, unsigned n, int first, int second, unsigned near)
{
	unsigned i;
	int j, want;

	for (j = 0; j < KWGI_N_RELATIONS; j++) {
		want = KWGI_FINE;
		for (i = 0; i < n; i++)
			if (rows[i].first == first && rows[i].second == second && (rows[i].near & near))
				want = rows[i].verdict[j];
		ck_assert_msg(want == (int)kwgi_verdict_of((enum kwgi_net_kind)first,
							   (enum kwgi_net_kind)second,
							   (enum kwgi_nearness)near,
							   (enum kwgi_relation)j),
			      "%s, %s: nearness %u, relation %d", names[first], names[second], near, j);
	}
}

START_TEST(manual_page)
{
	const char *top = getenv("top_srcdir");
	char path[512], line[512];
	struct row rows[100];
	unsigned n = 0, near;
	int first, second;
	FILE *f;

	snprintf(path, sizeof(path), "%s/man/kilowg.ini.5", top ? top : ".");
	f = fopen(path, "r");
	ck_assert_msg(f, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		ck_assert_uint_lt(n, N_OF(rows));
		n += parse_row(&rows[n], line);
	}
	fclose(f);
	ck_assert_uint_ge(n, 40);
	for (first = 0; first < KWGI_N_NET_KINDS; first++) {
		for (second = 0; second < KWGI_N_NET_KINDS; second++) {
			/* Who is to blame has to be clear. */
			ck_assert(first == second || !kwgi_verdict_of((enum kwgi_net_kind)first,
				  (enum kwgi_net_kind)second, KWGI_FAR, KWGI_EQUAL) ||
				  !kwgi_verdict_of((enum kwgi_net_kind)second,
				  (enum kwgi_net_kind)first, KWGI_FAR, KWGI_EQUAL));
			for (near = KWGI_OWN; near <= KWGI_FAR; near <<= 1)
				check_cell(rows, n, first, second, near);
		}
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, each_pair, 0, N_OF(right));
	tcase_add_test(tc, manual_page);
}

int main(void)
{
	return unit_run("verdict", add);
}
