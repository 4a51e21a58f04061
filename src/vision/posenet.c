#include <math.h>
#include <stdlib.h>

#include "vision/pose.h"
#include "vision/tensor.h"

#define N_KEYPOINTS SCREE_N_KEYPOINTS
#define N_EDGES     SCREE_POSE_N_EDGES

/* The values of TensorFlow.js' posenet: a root's least probability, the distance in pixels of the
 * input below which two key points of one kind are the same, and how often a place is corrected. */
#define ROOT_THRESHOLD 0.5f
#define NMS_RADIUS     20.0f
#define N_CORRECTIONS  2

const uint8_t scree_pose_tree[N_EDGES][2] = {
    {0, 1},   {1, 3},   {0, 2}, {2, 4}, {0, 5},  {5, 7},  {7, 9},   {5, 11},
    {11, 13}, {13, 15}, {0, 6}, {6, 8}, {8, 10}, {6, 12}, {12, 14}, {14, 16},
};

/* Places are in pixels of the input. */
struct place {
    float y, x;
};

struct fields {
    int32_t h, w;
    float stride_y, stride_x;
    const float *heatmaps; /* f32[h][w][17] */
    const struct scree_tensor *offsets, *forward, *backward;
    uint32_t n_channels;     /* of forward and of backward */
    uint32_t first_backward; /* the first channel of backward that is backward */
};

/* Cells are the model's stride apart, the first at 0 and the last at the end: 353 pixels at stride
 * 16 have 23 cells. */
static float stride(int32_t input, int32_t cells)
{
    return cells > 1 ? (float)(input - 1) / (float)(cells - 1) : (float)input;
}

static struct fields open_fields(const struct scree_decoder *decoder)
{
    const struct scree_head *head = decoder->head;
    int32_t forward = head->outputs[SCREE_ROLE_FORWARD];
    int32_t backward = head->outputs[SCREE_ROLE_BACKWARD];
    bool one = backward < 0;
    struct fields f = {
        .h = head->h,
        .w = head->w,
        .stride_y = stride(head->in_h, head->h),
        .stride_x = stride(head->in_w, head->w),
        .heatmaps = decoder->floats,
        .offsets = &decoder->outputs[head->outputs[SCREE_ROLE_OFFSETS]],
        .forward = forward < 0 ? NULL : &decoder->outputs[forward],
        .backward = forward < 0 ? NULL : &decoder->outputs[one ? forward : backward],
        .n_channels = one ? 4 * N_EDGES : 2 * N_EDGES,
        .first_backward = one ? 2 * N_EDGES : 0,
    };

    scree_tensor_reals(&decoder->outputs[head->outputs[SCREE_ROLE_HEATMAPS]], 0, 1,
                       (size_t)f.h * (size_t)f.w * N_KEYPOINTS, decoder->floats);
    return f;
}

/* ---- fields at a place -------------------------------------------------------------------------
 */

/* The four cells around a place and their weights. */
struct corners {
    size_t cells[4];
    float weights[4];
};

/* The cell below position p, in [0, n - 1], and how far p is from it. NaN counts as 0. */
static int32_t split_position(float p, int32_t n, float *ret_rest)
{
    float last = (float)(n - 1), low;

    p = p > 0 ? p : 0;
    p = p < last ? p : last;
    low = floorf(p);
    *ret_rest = p - low;
    return (int32_t)low;
}

static struct corners corners_of(const struct fields *f, struct place at)
{
    float dy, dx;
    int32_t y = split_position(at.y / f->stride_y, f->h, &dy);
    int32_t x = split_position(at.x / f->stride_x, f->w, &dx);
    int32_t below = y + (y < f->h - 1), right = x + (x < f->w - 1);
    size_t w = (size_t)f->w;

    return (struct corners){
        {(size_t)y * w + x, (size_t)y * w + right, (size_t)below * w + x,
         (size_t)below * w + right},
        {(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx},
    };
}

/* Channel k of a tensor of n_channels, between the cells. */
static float sample(const struct scree_tensor *t, const struct corners *c, size_t n_channels,
                    size_t k)
{
    float sum = 0, value;

    for (int i = 0; i < 4; i++) {
        scree_tensor_reals(t, c->cells[i] * n_channels + k, 1, 1, &value);
        sum += c->weights[i] * value;
    }
    return sum;
}

static float probability(float logit)
{
    return (float)(1 / (1 + exp(-(double)logit)));
}

/* The probability of key point k at a place. NaN in the heatmap gives 0. */
static float score_at(const struct fields *f, struct place at, uint32_t k)
{
    struct corners c = corners_of(f, at);
    float sum = 0;

    for (int i = 0; i < 4; i++)
        sum += c.weights[i] * f->heatmaps[c.cells[i] * N_KEYPOINTS + k];
    return isnan(sum) ? 0 : probability(sum);
}

/* Keeps a place inside the grid, whatever was added to it. */
static struct place clip(const struct fields *f, struct place at)
{
    float last_y = (float)(f->h - 1) * f->stride_y, last_x = (float)(f->w - 1) * f->stride_x;

    at.y = at.y > 0 ? fminf(at.y, last_y) : 0;
    at.x = at.x > 0 ? fminf(at.x, last_x) : 0;
    return at;
}

/* Follows the displacement of channels ky and kx, then corrects for key point `target`. */
static struct place follow(const struct fields *f, const struct scree_tensor *t, uint32_t ky,
                           struct place at, uint32_t target)
{
    struct corners c = corners_of(f, at);

    at.y += sample(t, &c, f->n_channels, ky);
    at.x += sample(t, &c, f->n_channels, ky + N_EDGES);
    at = clip(f, at);
    for (int i = 0; i < N_CORRECTIONS; i++) {
        c = corners_of(f, at);
        at.y += sample(f->offsets, &c, 2 * N_KEYPOINTS, target);
        at.x += sample(f->offsets, &c, 2 * N_KEYPOINTS, target + N_KEYPOINTS);
        at = clip(f, at);
    }
    return at;
}

/* The place that cell `cell` names for key point k. */
static struct place cell_place(const struct fields *f, size_t cell, uint32_t k)
{
    float dy, dx;

    scree_tensor_reals(f->offsets, cell * 2 * N_KEYPOINTS + k, 1, 1, &dy);
    scree_tensor_reals(f->offsets, cell * 2 * N_KEYPOINTS + N_KEYPOINTS + k, 1, 1, &dx);
    return clip(f, (struct place){(float)(cell / (size_t)f->w) * f->stride_y + dy,
                                  (float)(cell % (size_t)f->w) * f->stride_x + dx});
}

/* ---- persons -----------------------------------------------------------------------------------
 */

/* A person while it is decoded, in pixels of the input. */
struct person {
    struct place places[N_KEYPOINTS];
    float scores[N_KEYPOINTS];
    float score;
};

/* Fills the person from its root. The edges are a tree listed from the nose outwards: against the
 * list every key point between the root and the nose is reached, along it all others. */
static void grow(const struct fields *f, uint32_t root, struct place at, struct person *person)
{
    bool reached[N_KEYPOINTS] = {false};
    struct place *places = person->places;

    places[root] = at;
    reached[root] = true;
    for (uint32_t e = N_EDGES; e-- > 0;) {
        uint32_t parent = scree_pose_tree[e][0], child = scree_pose_tree[e][1];

        if (reached[child] && !reached[parent]) {
            places[parent] = follow(f, f->backward, f->first_backward + e, places[child], parent);
            reached[parent] = true;
        }
    }
    for (uint32_t e = 0; e < N_EDGES; e++) {
        uint32_t parent = scree_pose_tree[e][0], child = scree_pose_tree[e][1];

        if (reached[parent] && !reached[child]) {
            places[child] = follow(f, f->forward, e, places[parent], child);
            reached[child] = true;
        }
    }
    for (uint32_t k = 0; k < N_KEYPOINTS; k++)
        person->scores[k] = score_at(f, places[k], k);
}

static bool is_near(struct place a, struct place b)
{
    float dy = a.y - b.y, dx = a.x - b.x;

    return dy * dy + dx * dx <= NMS_RADIUS * NMS_RADIUS;
}

/* True if key point k of one of the persons is at this place. */
static bool is_taken(const struct person *persons, uint32_t n, uint32_t k, struct place at)
{
    for (uint32_t i = 0; i < n; i++)
        if (is_near(persons[i].places[k], at))
            return true;
    return false;
}

/* The mean score of the key points, those of an earlier person counting nothing. */
static float score_person(const struct person *persons, uint32_t n, const struct person *person)
{
    float sum = 0;

    for (uint32_t k = 0; k < N_KEYPOINTS; k++)
        if (!is_taken(persons, n, k, person->places[k]))
            sum += person->scores[k];
    return sum / N_KEYPOINTS;
}

/* ---- roots -------------------------------------------------------------------------------------
 */

/* True if no cell around (y, x) has a larger logit of key point k. */
static bool is_local_maximum(const struct fields *f, int32_t y, int32_t x, uint32_t k)
{
    float here = f->heatmaps[((size_t)y * (size_t)f->w + (size_t)x) * N_KEYPOINTS + k];

    for (int32_t v = y > 0 ? y - 1 : 0; v <= y + 1 && v < f->h; v++)
        for (int32_t u = x > 0 ? x - 1 : 0; u <= x + 1 && u < f->w; u++)
            if (f->heatmaps[((size_t)v * (size_t)f->w + (size_t)u) * N_KEYPOINTS + k] > here)
                return false;
    return true;
}

static int compare_roots(const void *left, const void *right)
{
    const struct scree_found *a = left, *b = right;

    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Roots, best first: class_id is the key point, index that of the heatmaps' element. */
static uint32_t find_roots(const struct fields *f, struct scree_found *roots)
{
    uint32_t n = 0, index = 0;

    for (int32_t y = 0; y < f->h; y++)
        for (int32_t x = 0; x < f->w; x++)
            for (uint32_t k = 0; k < N_KEYPOINTS; k++, index++) {
                float score = probability(f->heatmaps[index]);

                if (score >= ROOT_THRESHOLD && is_local_maximum(f, y, x, k))
                    roots[n++] = (struct scree_found){
                        .score = score, .class_id = (int32_t)k, .index = index};
            }
    qsort(roots, n, sizeof *roots, compare_roots);
    return n;
}

/* ---- the two ways ------------------------------------------------------------------------------
 */

/* Without displacements there is one person: each key point where its heatmap is highest. */
static void decode_one(const struct fields *f, struct person *person)
{
    size_t n_cells = (size_t)f->h * (size_t)f->w;

    person->score = 0;
    for (uint32_t k = 0; k < N_KEYPOINTS; k++) {
        size_t best = 0;

        for (size_t cell = 1; cell < n_cells; cell++)
            if (f->heatmaps[cell * N_KEYPOINTS + k] > f->heatmaps[best * N_KEYPOINTS + k])
                best = cell;
        person->places[k] = cell_place(f, best, k);
        person->scores[k] = probability(f->heatmaps[best * N_KEYPOINTS + k]);
        if (isnan(person->scores[k]))
            person->scores[k] = 0;
        person->score += person->scores[k] / N_KEYPOINTS;
    }
}

static uint32_t decode_all(const struct fields *f, struct scree_found *roots, float threshold,
                           uint32_t max, struct person *persons)
{
    uint32_t n_roots = find_roots(f, roots), n = 0;

    for (uint32_t i = 0; i < n_roots && n < max; i++) {
        uint32_t k = (uint32_t)roots[i].class_id;
        struct place at = cell_place(f, roots[i].index / N_KEYPOINTS, k);

        if (is_taken(persons, n, k, at))
            continue;
        grow(f, k, at, &persons[n]);
        persons[n].score = score_person(persons, n, &persons[n]);
        if (persons[n].score >= threshold)
            n++;
    }
    return n;
}

uint32_t scree_posenet_decode(const struct scree_decoder *decoder, uint32_t max,
                              struct scree_pose *ret_poses)
{
    const struct scree_head *head = decoder->head;
    struct fields f = open_fields(decoder);
    struct person persons[SCREE_MAX_POSES];
    uint32_t n;

    if (f.forward) {
        n = decode_all(&f, decoder->found, decoder->threshold, max, persons);
    } else {
        decode_one(&f, &persons[0]);
        n = persons[0].score >= decoder->threshold;
    }
    for (uint32_t i = 0; i < n; i++) {
        ret_poses[i].score = persons[i].score;
        for (uint32_t k = 0; k < N_KEYPOINTS; k++)
            ret_poses[i].keypoints[k] = (struct scree_keypoint){
                persons[i].places[k].y / (float)head->in_h,
                persons[i].places[k].x / (float)head->in_w,
                persons[i].scores[k],
            };
    }
    scree_pose_sort(ret_poses, n);
    return n;
}
