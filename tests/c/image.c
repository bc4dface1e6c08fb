#include <string.h>

#include "check.h"

static const float no_mean[3] = {0, 0, 0}, no_scale[3] = {1, 1, 1};

enum { LARGEST = 3 * 16 };

/* Grey photo [height][width] to grey tensor: the three channels must agree. */
static void check_grey(const uint8_t *grey, uint32_t width, uint32_t height, uint32_t to_width, uint32_t to_height,
                       const float *expected)
{
    uint8_t pixels[LARGEST];
    float tensor[LARGEST];
    const size_t results = (size_t)to_width * to_height;
    for (size_t i = 0; i < 3 * (size_t)width * height; i++) pixels[i] = grey[i / 3];
    CHECK(goss_image_to_tensor(pixels, width, height, 3, no_mean, no_scale, tensor, to_width, to_height, NULL) ==
          GOSS_OK);
    for (size_t i = 0; i < 3 * results; i++) CHECK(tensor[i] == expected[i % results]);
}

static void pixels_are_what_the_tensor_is_made_of(void)
{
    enum { SIDE = 5, TO = 3 };
    uint8_t photo[SIDE * SIDE * 4], image[TO * TO * 3];
    float tensor[TO * TO * 3];
    for (size_t i = 0; i < sizeof photo; i++) photo[i] = (uint8_t)(i * 37);
    CHECK(goss_image_to_pixels(photo, SIDE, SIDE, 4, image, TO, TO, NULL) == GOSS_OK);
    CHECK(goss_image_to_tensor(photo, SIDE, SIDE, 4, no_mean, no_scale, tensor, TO, TO, NULL) == GOSS_OK);
    for (size_t i = 0; i < TO * TO; i++)
        for (size_t c = 0; c < 3; c++) CHECK(tensor[c * TO * TO + i] == image[3 * i + c]);

    CHECK_FAILS(goss_image_to_pixels(NULL, 1, 1, 3, image, 1, 1, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_image_to_pixels(photo, 1, 1, 3, NULL, 1, 1, &error), GOSS_INVALID_ARGUMENT, "NULL");
    CHECK_FAILS(goss_image_to_pixels(photo, 1, 1, 2, image, 1, 1, &error), GOSS_INVALID_ARGUMENT, "channels");
    CHECK_FAILS(goss_image_to_pixels(photo, 1, 1, 3, image, 0, 1, &error), GOSS_INVALID_ARGUMENT, "32768");
}

static void one_pixel_becomes_three_scaled_planes(void)
{
    const uint8_t pixel[] = {10, 20, 30};
    const float mean[] = {4, 10, 30}, scale[] = {0.5f, 2, 7};
    float tensor[3];
    CHECK(goss_image_to_tensor(pixel, 1, 1, 3, mean, scale, tensor, 1, 1, NULL) == GOSS_OK);
    CHECK(tensor[0] == 3 && tensor[1] == 20 && tensor[2] == 0);
}

static void the_same_size_keeps_every_pixel(void)
{
    check_grey((const uint8_t[]){0, 1, 254, 255}, 2, 2, 2, 2, (const float[]){0, 1, 254, 255});
}

static void a_wide_photo_loses_its_sides(void)
{
    check_grey((const uint8_t[]){9, 1, 2, 9, 9, 3, 4, 9}, 4, 2, 2, 2, (const float[]){1, 2, 3, 4});
}

static void a_tall_photo_loses_top_and_bottom(void)
{
    check_grey((const uint8_t[]){9, 5, 9}, 1, 3, 1, 1, (const float[]){5});
}

static void an_odd_remainder_is_cut_on_the_right(void)
{
    check_grey((const uint8_t[]){1, 2, 9, 3, 4, 9}, 3, 2, 2, 2, (const float[]){1, 2, 3, 4});
}

static void averages_are_rounded_half_up(void)
{
    check_grey((const uint8_t[]){0, 0, 0, 1}, 2, 2, 1, 1, (const float[]){0});
    check_grey((const uint8_t[]){0, 0, 1, 1}, 2, 2, 1, 1, (const float[]){1});
    check_grey((const uint8_t[]){254, 254, 255, 255}, 2, 2, 1, 1, (const float[]){255});
}

/* Output pixels are 1.5 photo pixels wide: (4 a + 2 b + 2 c + d) / 9 in each corner. */
static void pixels_that_lie_partly_inside_count_partly(void)
{
    check_grey((const uint8_t[]){90, 0, 9, 0, 0, 0, 18, 0, 27}, 3, 3, 2, 2, (const float[]){40, 4, 8, 12});
}

/* The middle third covers both photo pixels alike. */
static void upscaling_mixes_neighbours(void)
{
    check_grey((const uint8_t[]){10, 20, 10, 20}, 2, 2, 3, 2, (const float[]){10, 15, 20, 10, 15, 20});
    check_grey((const uint8_t[]){7}, 1, 1, 3, 2, (const float[]){7, 7, 7, 7, 7, 7});
}

static void a_tensor_need_not_be_square(void)
{
    check_grey((const uint8_t[]){10, 20, 30, 40}, 2, 2, 2, 1, (const float[]){20, 30});
    check_grey((const uint8_t[]){10, 20, 30, 40}, 2, 2, 1, 2, (const float[]){15, 35});
}

static void transparency_shows_white(void)
{
    const uint8_t pixels[4][4] = {{0, 50, 255, 0}, {0, 50, 255, 255}, {0, 100, 255, 51}, {0, 0, 0, 0}};
    static const float expected[4][3] = {{255, 255, 255}, {0, 50, 255}, {204, 224, 255}, {255, 255, 255}};
    for (size_t i = 0; i < 4; i++) {
        float tensor[3];
        CHECK(goss_image_to_tensor(pixels[i], 1, 1, 4, no_mean, no_scale, tensor, 1, 1, NULL) == GOSS_OK);
        for (size_t c = 0; c < 3; c++) CHECK(tensor[c] == expected[i][c]);
    }
}

/* Transparent black beside opaque black, averaged: (255 + 0) / 2, rounded up. */
static void transparency_is_resolved_before_averaging(void)
{
    const uint8_t pixels[2][2][4] = {{{0, 0, 0, 0}, {0, 0, 0, 255}}, {{0, 0, 0, 255}, {0, 0, 0, 0}}};
    float tensor[3];
    CHECK(goss_image_to_tensor(&pixels[0][0][0], 2, 2, 4, no_mean, no_scale, tensor, 1, 1, NULL) == GOSS_OK);
    for (size_t c = 0; c < 3; c++) CHECK(tensor[c] == 128);
}

static void misuse_is_refused_and_touches_nothing(void)
{
    const uint8_t pixel[4] = {1, 2, 3, 4};
    float tensor[3] = {-1, -1, -1};
    enum { TOO_LARGE = 32769 };
    const float *m = no_mean, *s = no_scale;
    const goss_status invalid = GOSS_INVALID_ARGUMENT;
    CHECK_FAILS(goss_image_to_tensor(NULL, 1, 1, 3, m, s, tensor, 1, 1, &error), invalid, "NULL");
    CHECK_FAILS(goss_image_to_tensor(pixel, 1, 1, 3, NULL, s, tensor, 1, 1, &error), invalid, "NULL");
    CHECK_FAILS(goss_image_to_tensor(pixel, 1, 1, 3, m, NULL, tensor, 1, 1, &error), invalid, "NULL");
    CHECK_FAILS(goss_image_to_tensor(pixel, 1, 1, 3, m, s, NULL, 1, 1, &error), invalid, "NULL");
    for (uint32_t channels = 0; channels < 7; channels++)
        if (channels != 3 && channels != 4)
            CHECK_FAILS(goss_image_to_tensor(pixel, 1, 1, channels, m, s, tensor, 1, 1, &error), invalid, "channels");
    static const uint32_t wrong[] = {0, TOO_LARGE, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        CHECK_FAILS(goss_image_to_tensor(pixel, wrong[i], 1, 3, m, s, tensor, 1, 1, &error), invalid, "32768");
        CHECK_FAILS(goss_image_to_tensor(pixel, 1, wrong[i], 3, m, s, tensor, 1, 1, &error), invalid, "32768");
        CHECK_FAILS(goss_image_to_tensor(pixel, 1, 1, 3, m, s, tensor, wrong[i], 1, &error), invalid, "32768");
        CHECK_FAILS(goss_image_to_tensor(pixel, 1, 1, 3, m, s, tensor, 1, wrong[i], &error), invalid, "32768");
    }
    CHECK(tensor[0] == -1 && tensor[1] == -1 && tensor[2] == -1);
    CHECK(goss_image_to_tensor(NULL, 1, 1, 3, m, s, tensor, 1, 1, NULL) == invalid);
}

const test_case image_tests[] = {
    TEST(pixels_are_what_the_tensor_is_made_of),
    TEST(one_pixel_becomes_three_scaled_planes),
    TEST(the_same_size_keeps_every_pixel),
    TEST(a_wide_photo_loses_its_sides),
    TEST(a_tall_photo_loses_top_and_bottom),
    TEST(an_odd_remainder_is_cut_on_the_right),
    TEST(averages_are_rounded_half_up),
    TEST(pixels_that_lie_partly_inside_count_partly),
    TEST(upscaling_mixes_neighbours),
    TEST(a_tensor_need_not_be_square),
    TEST(transparency_shows_white),
    TEST(transparency_is_resolved_before_averaging),
    TEST(misuse_is_refused_and_touches_nothing),
    {NULL, NULL},
};
