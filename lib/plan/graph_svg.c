/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The mesh as a picture: locations in two rows, their leaders on the inner sides, so that the
 * tunnels between them have the band in the middle for themselves; outside peers at its end. With
 * many locations the tunnels, each to each, would be a black area: then there is a grid, and a
 * sentence instead of them. Whole pixels, and no text is measured: too long a name is cut off.
 */
#include <string.h>

#include "plan/graph.h"
#include "plan/plan.h"

enum {
	CHIP_W = 168, CHIP_H = 40, CHIP_GAP = 6,	/* a node */
	PAD = 10, HEAD = 22,				/* inside a box: its margin, its name */
	GAP = 24, MARGIN = 24, TITLE = 34,
	COLUMN = 6,					/* members below each other */
	MOST_DRAWN = 16,				/* locations with lines between them */
	GRID = 1400,					/* the width to be filled by many */
	NAME_MAX_CHARS = 20,
};

struct box {
	int x, y, w, h;
	int lead_x, lead_y;		/* where tunnels end */
};

struct picture {
	const struct kwgi_topology *topo;
	struct kwgi_buf *b;
	int w, h;			/* so far */
};

/* ---- pieces ---------------------------------------------------------- */

/* At most so many characters; XML 1.0 section 2.4. */
static void put_text(struct kwgi_buf *b, const char *s, size_t most)
{
	size_t n = 0;

	for (; *s; s++) {
		/* Other bytes continue a character of UTF-8. */
		if ((*s & 0xc0) != 0x80 && n++ == most)
			break;
		if (*s == '&')
			kwgi_buf_puts(b, "&amp;");
		else if (*s == '<')
			kwgi_buf_puts(b, "&lt;");
		else if (*s == '>')
			kwgi_buf_puts(b, "&gt;");
		else if (*s == '"')
			kwgi_buf_puts(b, "&quot;");
		else
			kwgi_buf_putc(b, *s);
	}
	if (*s)
		kwgi_buf_puts(b, "\xe2\x80\xa6");
}

static void put_label(struct kwgi_buf *b, int x, int y, const char *class, const char *text)
{
	kwgi_buf_printf(b, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	put_text(b, text, NAME_MAX_CHARS);
	kwgi_buf_puts(b, "</text>\n");
}

static void put_rect(struct kwgi_buf *b, int x, int y, int w, int h, const char *class)
{
	kwgi_buf_printf(b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\" class=\"%s\"/>\n", x, y, w, h,
			class);
}

/* Everything that is known of it is shown where the pointer rests. */
static void put_node_title(struct kwgi_buf *b, const struct kwgi_segment *s, const struct kwgi_node *m)
{
	uint32_t i;

	kwgi_buf_puts(b, "<title>");
	put_text(b, m->name, SIZE_MAX);
	for (i = 0; i < m->pod_cidrs.n; i++) {
		kwgi_buf_puts(b, "\npods ");
		kwgi_buf_prefix(b, &m->pod_cidrs.v[i].prefix);
	}
	if (kwgi_node_has_private_ip(m)) {
		kwgi_buf_puts(b, "\nprivate ");
		kwgi_buf_addr(b, &m->internal_ip.addr);
	}
	if (m == s->leader) {
		kwgi_buf_puts(b, "\nWireGuard ");
		kwgi_buf_addr(b, &s->wg_ip);
	}
	if (m->endpoint.port) {
		kwgi_buf_puts(b, "\nendpoint ");
		kwgi_buf_endpoint(b, &m->endpoint);
	}
	kwgi_buf_puts(b, "</title>\n");
}

static void put_node(struct kwgi_buf *b, const struct kwgi_segment *s, const struct kwgi_node *m, int x, int y)
{
	char text[KWGI_ADDR_TEXT] = "";

	if (m == s->leader)
		kwgi_addr_format(text, &s->wg_ip);
	else if (kwgi_node_has_private_ip(m))
		kwgi_addr_format(text, &m->internal_ip.addr);
	kwgi_buf_puts(b, "<g>\n");
	put_node_title(b, s, m);
	put_rect(b, x, y, CHIP_W, CHIP_H, m == s->leader ? "leader" : "node");
	put_label(b, x + PAD, y + 17, "name", m->name);
	put_label(b, x + PAD, y + 32, "address", text);
	kwgi_buf_puts(b, "</g>\n");
}

static void put_peer(struct kwgi_buf *b, const struct kwgi_peer *p, int x, int y)
{
	char text[KWGI_PREFIX_TEXT] = "";

	if (p->allowed_ips.n)
		kwgi_prefix_format(text, &p->allowed_ips.v[0].prefix);
	kwgi_buf_puts(b, "<g>\n<title>");
	put_text(b, p->name, SIZE_MAX);
	kwgi_buf_puts(b, "</title>\n");
	put_rect(b, x, y, CHIP_W, CHIP_H, "peer");
	put_label(b, x + PAD, y + 17, "name", p->name);
	put_label(b, x + PAD, y + 32, "address", text);
	kwgi_buf_puts(b, "</g>\n");
}

/* ---- boxes ----------------------------------------------------------- */

static uint32_t columns_for(uint32_t members)
{
	return members ? (members + COLUMN - 1) / COLUMN : 1;
}

/* Of a leader and so many others. */
static void size_box(struct box *box, uint32_t members)
{
	uint32_t rows = members < COLUMN ? members : COLUMN;

	box->w = 2 * PAD + (int)columns_for(members) * (CHIP_W + CHIP_GAP) - CHIP_GAP;
	box->h = 2 * PAD + HEAD + CHIP_H + (int)rows * (CHIP_H + CHIP_GAP);
}

/* The leader stands at the lower end, or at the upper one, and the name of the location at the other. */
static void place_leader(struct box *box, bool below)
{
	box->lead_x = box->x + box->w / 2;
	box->lead_y = below ? box->y + box->h - PAD : box->y + PAD;
}

static void put_segment(struct picture *p, const struct kwgi_segment *s, const struct box *box, bool below)
{
	int x = box->x + PAD, y = box->y + PAD + (below ? HEAD : CHIP_H + CHIP_GAP);
	uint32_t i, n = 0;

	put_rect(p->b, box->x, box->y, box->w, box->h, "location");
	put_label(p->b, box->x + PAD, below ? box->y + PAD + 12 : box->y + box->h - PAD, "title", s->name);
	put_node(p->b, s, s->leader, box->lead_x - CHIP_W / 2, below ? box->lead_y - CHIP_H : box->lead_y);
	for (i = 0; i < s->n; i++) {
		if (s->members[i] == s->leader)
			continue;
		put_node(p->b, s, s->members[i], x + (int)(n / COLUMN) * (CHIP_W + CHIP_GAP),
			 y + (int)(n % COLUMN) * (CHIP_H + CHIP_GAP));
		n++;
	}
}

static void put_peers(struct picture *p, int x, int y)
{
	uint32_t i, n = p->topo->n_peers;
	struct box box = { .x = x, .y = y };

	size_box(&box, n);
	put_rect(p->b, x, y, box.w, box.h - CHIP_H, "location dashed");
	put_label(p->b, x + PAD, y + PAD + 12, "title", "outside peers");
	for (i = 0; i < n; i++)
		put_peer(p->b, p->topo->peers[i].peer, x + PAD + (int)(i / COLUMN) * (CHIP_W + CHIP_GAP),
			 y + PAD + HEAD + (int)(i % COLUMN) * (CHIP_H + CHIP_GAP));
}

/* ---- two rows, and the tunnels between them --------------------------- */

/* How high the band is: lines of one row need more of it the farther apart their ends are. */
static int band(uint32_t n)
{
	return 90 + 14 * (int)n;
}

static void put_tunnel(struct kwgi_buf *b, const struct box *from, const struct box *to, int middle)
{
	kwgi_buf_printf(b, "<path d=\"M%d %dQ%d %d %d %d\" class=\"tunnel\"/>\n", from->lead_x, from->lead_y,
			(from->lead_x + to->lead_x) / 2, from->lead_y == to->lead_y ? middle : (from->lead_y + to->lead_y) / 2,
			to->lead_x, to->lead_y);
}

static void put_lines(struct picture *p, const struct box *boxes, uint32_t n, int middle, int peers_x)
{
	uint32_t i, j;

	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++)
			put_tunnel(p->b, &boxes[i], &boxes[j], middle);
	for (i = 0; i < n && p->topo->n_peers; i++)
		kwgi_buf_printf(p->b, "<path d=\"M%d %dQ%d %d %d %d\" class=\"tunnel dashed\"/>\n", boxes[i].lead_x,
				boxes[i].lead_y, (boxes[i].lead_x + peers_x) / 2, middle, peers_x, middle);
}

/* Returns the width of the row; y: its outer edge, up: whether that is the upper one. */
static int place_row(struct box *boxes, uint32_t first, uint32_t n, int y, bool up)
{
	int x = MARGIN;
	uint32_t i;

	for (i = first; i < n; i += 2) {
		boxes[i].x = x;
		boxes[i].y = up ? y - boxes[i].h : y;
		place_leader(&boxes[i], up);
		x += boxes[i].w + GAP;
	}
	return x;
}

static int highest(const struct box *boxes, uint32_t first, uint32_t n)
{
	int h = 0;
	uint32_t i;

	for (i = first; i < n; i += 2)
		if (boxes[i].h > h)
			h = boxes[i].h;
	return h;
}

static void draw_rows(struct picture *p, struct box *boxes)
{
	uint32_t n = p->topo->n_segments, i;
	int upper = TITLE + MARGIN + highest(boxes, 0, n), lower = upper + (n > 1 ? band(n) : GAP);
	int middle = (upper + lower) / 2, w = place_row(boxes, 0, n, upper, true), w2;
	struct box peers = { 0 };

	w2 = place_row(boxes, 1, n, lower, false);
	peers.x = (w > w2 ? w : w2) + GAP;
	size_box(&peers, p->topo->n_peers);
	peers.y = middle - peers.h / 2 < TITLE + MARGIN ? TITLE + MARGIN : middle - peers.h / 2;
	p->w = p->topo->n_peers ? peers.x + peers.w + MARGIN : peers.x - GAP + MARGIN;
	p->h = lower + highest(boxes, 1, n) + MARGIN;
	if (p->topo->n_peers && peers.y + peers.h + MARGIN > p->h)
		p->h = peers.y + peers.h + MARGIN;
	put_lines(p, boxes, n, middle, peers.x);
	for (i = 0; i < n; i++)
		put_segment(p, &p->topo->segments[i], &boxes[i], !(i % 2));
	if (p->topo->n_peers)
		put_peers(p, peers.x, peers.y);
}

/* ---- a grid ---------------------------------------------------------- */

static void draw_grid(struct picture *p, struct box *boxes)
{
	int x = MARGIN, y = TITLE + MARGIN + HEAD, row = 0;
	uint32_t i;

	for (i = 0; i < p->topo->n_segments; i++) {
		if (x > MARGIN && x + boxes[i].w > GRID) {
			x = MARGIN;
			y += row + GAP;
			row = 0;
		}
		boxes[i].x = x;
		boxes[i].y = y;
		place_leader(&boxes[i], false);
		put_segment(p, &p->topo->segments[i], &boxes[i], false);
		x += boxes[i].w + GAP;
		p->w = x > p->w ? x : p->w;
		row = boxes[i].h > row ? boxes[i].h : row;
	}
	p->h = y + row + MARGIN;
	kwgi_buf_printf(p->b, "<text x=\"%d\" y=\"%d\" class=\"address\">Each of the %u leaders has a tunnel to each other one%s.</text>\n",
			MARGIN, TITLE + MARGIN + 8, p->topo->n_segments, p->topo->n_peers ? ", and to each outside peer" : "");
	if (p->topo->n_peers) {
		struct box peers = { 0 };

		size_box(&peers, p->topo->n_peers);
		put_peers(p, MARGIN, p->h);
		p->h += peers.h + MARGIN;
		p->w = peers.w + 2 * MARGIN > p->w ? peers.w + 2 * MARGIN : p->w;
	}
}

/* ---- the whole ------------------------------------------------------- */

/* Colours that can be told apart on paper, and in both of the modes of a browser. */
static const char style[] =
	"<style>\n"
	"text{font-family:system-ui,sans-serif;fill:#1c2733}\n"
	".mesh{font-size:18px;font-weight:600}.title{font-size:13px;font-weight:600;fill:#51606f}\n"
	".name{font-size:13px;font-weight:600}.address{font-size:11px;fill:#51606f}\n"
	"rect{stroke:#9fb0c0;fill:#fff}.location{fill:#f2f5f8}.leader{fill:#d9ecff;stroke:#2277bb;stroke-width:2}\n"
	".peer{fill:#fff6dd;stroke:#b98a1d}.dashed{stroke-dasharray:6 4}\n"
	".tunnel{fill:none;stroke:#2277bb;stroke-width:1.5;stroke-opacity:.65}\n"
	"@media(prefers-color-scheme:dark){svg{background:#11181f}text{fill:#e6edf3}.title,.address{fill:#9fb0c0}\n"
	"rect{fill:#1c2733;stroke:#51606f}.location{fill:#17202a}.leader{fill:#12395c;stroke:#58a6e0}\n"
	".peer{fill:#3a2f12;stroke:#d1a53a}.tunnel{stroke:#58a6e0}}\n"
	"</style>\n";

int kwgi_graph_svg(const struct kwg_config *cfg, struct kwgi_buf *b)
{
	struct kwgi_buf body = { 0 };
	struct picture p = { .topo = cfg->topology, .b = &body, .w = 360, .h = 120 };
	struct kwgi_arena arena = { 0 };
	struct box *boxes = kwgi_arena_alloc(&arena, p.topo->n_segments + 1u, sizeof(*boxes));
	uint32_t i;

	if (!boxes)
		return -1;
	for (i = 0; i < p.topo->n_segments; i++)
		size_box(&boxes[i], p.topo->segments[i].n - 1);
	(p.topo->n_segments <= MOST_DRAWN ? draw_rows : draw_grid)(&p, boxes);
	kwgi_buf_printf(b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n<title>",
			p.w, p.h, p.w, p.h);
	put_text(b, cfg->mesh.name, SIZE_MAX);
	kwgi_buf_printf(b, ": %u nodes in %u segments, %u outside peers</title>\n", p.topo->n_nodes, p.topo->n_segments,
			p.topo->n_peers);
	kwgi_buf_puts(b, style);
	kwgi_buf_printf(b, "<text x=\"%d\" y=\"%d\" class=\"mesh\">", MARGIN, MARGIN + 10);
	put_text(b, cfg->mesh.name, SIZE_MAX);
	kwgi_buf_puts(b, " ");
	kwgi_buf_prefix(b, &cfg->mesh.subnet);
	kwgi_buf_puts(b, "</text>\n");
	kwgi_buf_add(b, body.p ? body.p : "", body.len);
	kwgi_buf_puts(b, "</svg>\n");
	b->failed |= body.failed;
	kwgi_buf_free(&body);
	kwgi_arena_free(&arena);
	return 0;
}
