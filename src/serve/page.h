/* serve/page.h - the web page: one file, made from web/ at the build by tools/embed_page.py. */
#ifndef SCREE_SERVE_PAGE_H
#define SCREE_SERVE_PAGE_H

#include <stddef.h>

/* HTML with its style and its script in it, char[scree_page_bytes]. */
extern const char scree_page[];
extern const size_t scree_page_bytes;

/* The Content-Security-Policy of it: nothing but what has the hashes of this style and script. */
extern const char scree_page_policy[];

#endif
