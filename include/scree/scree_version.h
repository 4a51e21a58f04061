/* scree/scree_version.h - the version of this header; scree_version() tells the library's. */
#ifndef SCREE_SCREE_VERSION_H
#define SCREE_SCREE_VERSION_H

#define SCREE_VERSION_MAJOR 0
#define SCREE_VERSION_MINOR 1
#define SCREE_VERSION_PATCH 0
#define SCREE_VERSION       "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library in use, as "0.1.0". The text is static. Cannot fail. */
__attribute__((visibility("default"))) const char *scree_version(void);

#ifdef __cplusplus
}
#endif
#endif
