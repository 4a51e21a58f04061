#include "kernels/heap.h"

/* Lifts `item` from the hole at `at` towards the top. */
static void lift(const struct scree_order *order, int32_t *heap, size_t at, size_t top,
                 int32_t item)
{
    while (at > top) {
        size_t parent = (at - 1) / 2;

        if (!order->before(order->context, heap[parent], item))
            break;
        heap[at] = heap[parent];
        at = parent;
    }
    heap[at] = item;
}

/* Puts `item` into the heap whose top, at `top`, is a hole: the hole sinks along the later
 * children, then the item is lifted into it. */
static void sink(const struct scree_order *order, int32_t *heap, size_t top, size_t n, int32_t item)
{
    size_t at = top;

    while (2 * at + 2 < n) {
        size_t child = 2 * at + 2;

        if (order->before(order->context, heap[child], heap[child - 1]))
            child--;
        heap[at] = heap[child];
        at = child;
    }
    if (2 * at + 2 == n) {
        heap[at] = heap[2 * at + 1];
        at = 2 * at + 1;
    }
    lift(order, heap, at, top, item);
}

void scree_heap_push(const struct scree_order *order, int32_t *heap, size_t n)
{
    lift(order, heap, n - 1, 0, heap[n - 1]);
}

void scree_heap_pop(const struct scree_order *order, int32_t *heap, size_t n)
{
    int32_t last = heap[n - 1];

    if (n < 2)
        return;
    heap[n - 1] = heap[0];
    sink(order, heap, 0, n - 1, last);
}

void scree_sort_first(const struct scree_order *order, int32_t *items, size_t k, size_t n)
{
    if (k == 0)
        return;
    for (size_t parent = k / 2; parent-- > 0;)
        sink(order, items, parent, k, items[parent]);
    for (size_t i = k; i < n; i++) {
        int32_t item = items[i];

        if (!order->before(order->context, item, items[0]))
            continue;
        items[i] = items[0];
        sink(order, items, 0, k, item);
    }
    for (size_t left = k; left > 1; left--)
        scree_heap_pop(order, items, left);
}
