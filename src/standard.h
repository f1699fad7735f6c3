/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Standard input, output and error, as a program finds them when it starts. */
#ifndef STANDARD_H
#define STANDARD_H

/*
 * Those that are closed lead to /dev/null afterwards: else the next file to be opened would
 * get the number, and what is printed.
 */
void standard_fill(void);

#endif
