/* ops/types.h - the notation for which types an operator takes, and the check by it.
 *
 * A row's `types` is a list of alternatives joined by "; ". Each is "inputs > outputs" and perhaps
 * ": variables". Inputs and outputs are comma-separated items:
 *
 *   f32 f16 i4 i8 i16 i32 i64 u8 u32 bool   that type
 *   T U                                     one type of the variable's list after the colon, the
 * same in all places: "T, T > T : T = u8 i8 i16 f32" any                                     any
 * type with a whole number of bytes an element (x)                                     an optional
 * input: may be left out (-1 or missing at the end) x*                                      zero or
 * more of x, only as the last item
 *
 * The same text is printed in docs/operators.md and in the message for a type that is not in it. */
#ifndef SCREE_OPS_TYPES_H
#define SCREE_OPS_TYPES_H

#include "plan/op.h"

/* Checks the call's operand types and counts against call->op->types.
 * Errors: ENOTSUP, naming operator, version and types. */
int scree_types_check(const struct scree_call *call, struct scree_error *err);

#endif
