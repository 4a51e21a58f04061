/* kernels/select.h - one of two tensors, element by element.
 *
 * Source: TFLite kernels/internal/reference/select.h. */
#ifndef SCREE_KERNELS_SELECT_H
#define SCREE_KERNELS_SELECT_H

#include "kernels/rows.h"

/* out[i] = in[0] ? in[1] : in[2]. in[0] is bool; in[1], in[2] and out are elements of 8, 16, 32 or
 * 64 bits of any kind. params are not read. */
scree_row_fn scree_select_8, scree_select_16, scree_select_32, scree_select_64;

#endif
