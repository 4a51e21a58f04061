/* ops/table.h - operators that are a function of each byte, and chains of them.
 *
 * Logistic of int8 is a table of 256 bytes. So is MUL by a constant, and so is x * logistic(x),
 * whose two inputs are functions of the same byte: a chain of such operators is run as one look-up
 * on the tensor it begins with. An operator that knows its table says so in its output
 * (struct scree_operand, source and table); the next one takes it from there, and a step that
 * nothing reads any more is dropped by the planner.
 *
 * Memory: tables are part of the operators' params. Threads: no shared state. */
#ifndef SCREE_OPS_TABLE_H
#define SCREE_OPS_TABLE_H

#include "kernels/lut.h"
#include "plan/op.h"

/* Makes table u8[256], by which the bytes of output 0 follow from those of input 0, one by which
 * they follow from the tensor with which the chain begins; that becomes input 0. `table` lives as
 * long as the plan. A call that is prepared for one run only is left as it is. */
void scree_table_chain(struct scree_call *call, uint8_t *table);

/* Fills table u8[256] if each byte of output 0 is a function of one byte: of an input, where the
 * other one is a constant scalar, or of the tensor with which the chains of both inputs begin. Then
 * input 0 is that tensor, and all is as after scree_table_chain(). Else returns false.
 * `row` is the operator's kernel, of 8-bit types, `params` its parameters. */
bool scree_table_of_two(struct scree_call *call, scree_row_fn *row, const void *params,
                        uint8_t *table);

/* The same for a float32 output 0 of an 8-bit input 0: fills table f32[256] by `row`, for
 * scree_table_of_floats() of the next operator. */
void scree_table_to_floats(struct scree_call *call, scree_row_fn *row, const void *params,
                           float *table);

/* The same for a float32 output 0 of a float32 input 0, if that is a function of bytes. */
void scree_table_through_floats(struct scree_call *call, scree_row_fn *row, const void *params,
                                float *table);

/* Fills table u8[256] if input 0, float32, is a function of each byte of another tensor; that
 * becomes input 0, and all is as after scree_table_chain(). Else returns false. `row` is the
 * operator's kernel, from float32 to 8 bits. */
bool scree_table_of_floats(struct scree_call *call, scree_row_fn *row, const void *params,
                           uint8_t *table);

/* The bytes of output 0 from those of input 0. */
void scree_table_run(const struct scree_call *call, const uint8_t *table);

#endif
