/* Photos to input tensors, in exact integers. */
#include "error.h"

enum { LARGEST_SIDE = 32768 };

/* One axis of area averaging. In units of 1/output source pixels, source pixel s covers [s * output, (s + 1) * output)
 * and output pixel i covers [i * source, (i + 1) * source): every overlap is a whole number. */
typedef struct axis {
    uint64_t source, output;
} axis;

static uint64_t overlap(axis a, uint64_t output_index, uint64_t source_index)
{
    const uint64_t output_start = output_index * a.source, source_start = source_index * a.output;
    const uint64_t output_end = output_start + a.source, source_end = source_start + a.output;
    const uint64_t start = output_start > source_start ? output_start : source_start;
    const uint64_t end = output_end < source_end ? output_end : source_end;
    return end - start;
}

static uint64_t first_source(axis a, uint64_t output_index) { return output_index * a.source / a.output; }

static uint64_t end_source(axis a, uint64_t output_index)
{
    return ((output_index + 1) * a.source + a.output - 1) / a.output;
}

/* The sums of one output pixel over its area, weighted by overlap. Colours are laid over white as 255 * alpha-weighted
 * integers, so that nothing is rounded before the one division. Largest value: side^2 * 255 * 255 < 2^47. */
static void sum_area(const uint8_t *square, size_t row_bytes, uint32_t channels, axis vertical, axis horizontal,
                     uint64_t y, uint64_t x, uint64_t sums[3])
{
    sums[0] = sums[1] = sums[2] = 0;
    for (uint64_t row = first_source(vertical, y); row < end_source(vertical, y); row++) {
        const uint64_t row_weight = overlap(vertical, y, row);
        for (uint64_t column = first_source(horizontal, x); column < end_source(horizontal, x); column++) {
            const uint64_t weight = row_weight * overlap(horizontal, x, column);
            const uint8_t *pixel = square + row * row_bytes + column * channels;
            const uint32_t alpha = channels == 4 ? pixel[3] : 255;
            for (int c = 0; c < 3; c++) sums[c] += weight * (pixel[c] * alpha + 255 * (255 - alpha));
        }
    }
}

/* A photo's largest centered square, to be averaged to width x height. */
typedef struct square {
    const uint8_t *pixels;
    size_t row_bytes;
    uint32_t channels;
    axis vertical, horizontal;
} square;

static goss_status find_square(const uint8_t *pixels, uint32_t pixel_width, uint32_t pixel_height, uint32_t channels,
                               uint32_t width, uint32_t height, square *found, goss_error *error)
{
    if (channels != 3 && channels != 4)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "image with %u channels; 3 (RGB) or 4 (RGBA) expected",
                         channels);
    const uint32_t sides[4] = {pixel_width, pixel_height, width, height};
    for (int i = 0; i < 4; i++)
        if (sides[i] == 0 || sides[i] > LARGEST_SIDE)
            return goss_fail(error, GOSS_INVALID_ARGUMENT, "image of %ux%u pixels to %ux%u; sides of 1 to %d expected",
                             pixel_width, pixel_height, width, height, LARGEST_SIDE);

    const uint32_t side = pixel_width < pixel_height ? pixel_width : pixel_height;
    const size_t row_bytes = (size_t)pixel_width * channels;
    *found = (square){
        .pixels = pixels + (pixel_height - side) / 2 * row_bytes + (size_t)((pixel_width - side) / 2) * channels,
        .row_bytes = row_bytes,
        .channels = channels,
        .vertical = {side, height},
        .horizontal = {side, width},
    };
    return GOSS_OK;
}

/* One pixel of the result. */
static void average(const square *s, uint32_t y, uint32_t x, uint8_t pixel[3])
{
    const uint64_t area = s->vertical.source * s->horizontal.source * 255;
    uint64_t sums[3];
    sum_area(s->pixels, s->row_bytes, s->channels, s->vertical, s->horizontal, y, x, sums);
    for (int c = 0; c < 3; c++) pixel[c] = (uint8_t)((2 * sums[c] + area) / (2 * area)); /* rounded half up */
}

goss_status goss_image_to_pixels(const uint8_t *pixels, uint32_t pixel_width, uint32_t pixel_height, uint32_t channels,
                                 uint8_t *image, uint32_t width, uint32_t height, goss_error *error)
{
    if (!pixels || !image) return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_image_to_pixels: a pointer is NULL");
    square s;
    const goss_status status = find_square(pixels, pixel_width, pixel_height, channels, width, height, &s, error);
    if (status) return status;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) average(&s, y, x, image + ((size_t)y * width + x) * 3);
    return GOSS_OK;
}

goss_status goss_image_to_tensor(const uint8_t *pixels, uint32_t pixel_width, uint32_t pixel_height, uint32_t channels,
                                 const float *mean, const float *scale, float *tensor, uint32_t width, uint32_t height,
                                 goss_error *error)
{
    if (!pixels || !mean || !scale || !tensor)
        return goss_fail(error, GOSS_INVALID_ARGUMENT, "goss_image_to_tensor: a pointer is NULL");
    square s;
    const goss_status status = find_square(pixels, pixel_width, pixel_height, channels, width, height, &s, error);
    if (status) return status;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t pixel[3];
            average(&s, y, x, pixel);
            for (size_t c = 0; c < 3; c++)
                tensor[(c * height + y) * width + x] = ((float)pixel[c] - mean[c]) * scale[c];
        }
    return GOSS_OK;
}
