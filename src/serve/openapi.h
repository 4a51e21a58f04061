/* serve/openapi.h - the description of all paths, made from openapi.json at the build. */
#ifndef SCREE_SERVE_OPENAPI_H
#define SCREE_SERVE_OPENAPI_H

#include <stddef.h>

/* OpenAPI 3.0 as JSON, char[scree_openapi_bytes], without a zero at its end. */
extern const char scree_openapi[];
extern const size_t scree_openapi_bytes;

#endif
