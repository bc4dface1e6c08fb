/* From exact numbers to whole ones from 0 to 127, one at a time: FORMAT.md section 9. */
#ifndef GOSS_ROUND_I8_H
#define GOSS_ROUND_I8_H

#include "kernels.h"

/* min(max(v, low), high) */
static inline float clamp_i8(float v, goss_target_i8 target)
{
    v = v > target.low ? v : target.low;
    return v < target.high ? v : target.high;
}

static inline uint8_t round_i8(float v, goss_target_i8 target)
{
    const float round = 12582912.0f; /* as VF32_ROUND: ties to even */
    return (uint8_t)(target.zero_point + (int32_t)((clamp_i8(v, target) + round) - round));
}

#endif
