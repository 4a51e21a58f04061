/* tests/unit/oip_model.h - the model of test_oip.c, in a file of its own: the headers of models and
 * those of the server have structs of the same name. */
#ifndef SCREE_TESTS_OIP_MODEL_H
#define SCREE_TESTS_OIP_MODEL_H

#include <stdbool.h>

#define OIP_MODEL_ROW_BYTES (2 << 20)

/* Writes to fd a model of one byte "in", u8[1][1], which becomes two million, "out"; false: it
 * cannot be written. */
bool oip_model_write(int fd);

#endif
