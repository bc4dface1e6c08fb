#include "bytes.h"

uint8_t *input_u7(test *t, size_t count)
{
    uint8_t *bytes = input_new(t, (count + 3) / 4 * 4);
    for (size_t i = 0; i < count; i++) bytes[i] = random_below(t, 4) ? (uint8_t)random_below(t, 128) : 127;
    return bytes;
}

int8_t *input_i8(test *t, size_t count)
{
    int8_t *bytes = input_new(t, (count + 3) / 4 * 4);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (int8_t)(random_below(t, 4) ? (int)random_below(t, 255) - 127 : random_below(t, 2) ? 127 : -127);
    return bytes;
}

goss_target_i8 random_target(test *t)
{
    const int32_t zero_point = (int32_t)random_below(t, 128);
    goss_target_i8 target = {(float)-zero_point, (float)(127 - zero_point), zero_point};
    if (random_below(t, 2)) target.low = fmaxf(target.low, 0);
    if (random_below(t, 2)) target.high = fminf(target.high, 20.5f);
    return target;
}

void expect_byte(test *t, size_t index, uint8_t found, uint8_t expected)
{
    if (found != expected) case_fail(t, "[%zu] expected %u, found %u", index, expected, found);
}
