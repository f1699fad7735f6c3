/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "cli.h"

enum { FORMAT };

static const char *const formats[] = {
	[KWG_GRAPH_DOT] = "dot", [KWG_GRAPH_MERMAID] = "mermaid", [KWG_GRAPH_SVG] = "svg",
};

static bool find_format(const struct option_values *given, enum kwg_graph_format *format)
{
	size_t i;

	*format = KWG_GRAPH_DOT;
	if (!given->n)
		return true;
	for (i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		*format = (enum kwg_graph_format)i;
		if (!strcmp(given->v[given->n - 1], formats[i]))
			return true;
	}
	return false;
}

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	enum kwg_graph_format format;
	struct kwg_config *cfg;
	char *text;
	int status;

	(void)argv;
	if (argc)
		return usage_error("graph takes no operand");
	if (!find_format(&given[FORMAT], &format))
		return usage_error("--format is dot, mermaid or svg");
	cfg = load_config(cli, &status);
	if (!cfg)
		return status;
	if (kwg_graph(cfg, format, &text, NULL, &err))
		status = report(&err);
	else
		status = print_text(text);
	kwg_config_free(cfg);
	return status;
}

const struct command command_graph = {
	.name = "graph", .args = "",
	.summary = "print the mesh as a graph: a picture, or text for Graphviz or Mermaid",
	.details = "A picture: kilowg graph --format svg >mesh.svg",
	.options = {
		[FORMAT] = { "format", "FORMAT", "dot (the default), mermaid or svg" },
	},
	.run = run,
};
