/* The table of the instruction set being compiled. */
#include "kernels.h"
#include "pointwise_i8.h"
#include "vector.h"

goss_matrix_kernel GOSS_KERNEL(pointwise_f32_1x1);
goss_matrix_kernel GOSS_KERNEL(pointwise_f32_2x1);
goss_matrix_kernel GOSS_KERNEL(pointwise_f32_4x1);
goss_matrix_kernel GOSS_KERNEL(pointwise_f32_8x1);
goss_matrix_kernel GOSS_KERNEL(fully_connected_f32_1x1);
goss_matrix_kernel GOSS_KERNEL(fully_connected_f32_2x1);
goss_matrix_kernel GOSS_KERNEL(fully_connected_f32_4x1);
goss_matrix_kernel GOSS_KERNEL(fully_connected_f32_8x1);
void GOSS_KERNEL(pack_f32)(const goss_pack_f32_args *);
void GOSS_KERNEL(pack_pixels_f32)(const goss_pack_pixels_f32_args *);
void GOSS_KERNEL(unpack_f32)(const goss_unpack_f32_args *);
void GOSS_KERNEL(depthwise_f32)(const goss_depthwise_f32_args *);
void GOSS_KERNEL(depthwise_square_f32)(const goss_depthwise_square_f32_args *);
void GOSS_KERNEL(global_average_pool_f32)(const goss_global_average_pool_f32_args *);
void GOSS_KERNEL(max_pool_f32)(const goss_pool_f32_args *);
void GOSS_KERNEL(average_pool_f32)(const goss_pool_f32_args *);
void GOSS_KERNEL(add_f32)(const goss_add_f32_args *);
void GOSS_KERNEL(clamp_f32)(const goss_clamp_f32_args *);
void GOSS_KERNEL(multiply_f32)(const goss_multiply_f32_args *);
void GOSS_KERNEL(scale_f32)(const goss_scale_f32_args *);
goss_activation_kernel GOSS_KERNEL(sigmoid_f32);
goss_activation_kernel GOSS_KERNEL(silu_f32);
goss_activation_kernel GOSS_KERNEL(hard_swish_f32);
goss_activation_kernel GOSS_KERNEL(tanh_f32);
goss_activation_kernel GOSS_KERNEL(elu_f32);
goss_activation_kernel GOSS_KERNEL(softplus_f32);
goss_activation_kernel GOSS_KERNEL(mish_f32);
goss_activation_kernel GOSS_KERNEL(erf_f32);
goss_activation_kernel GOSS_KERNEL(gelu_f32);
goss_activation_kernel GOSS_KERNEL(gelu_tanh_f32);
void GOSS_KERNEL(leaky_relu_f32)(const goss_leaky_relu_f32_args *);
void GOSS_KERNEL(softmax_f32)(const goss_softmax_f32_args *);
goss_matrix_i8_kernel GOSS_KERNEL(pointwise_i8_1x4);
goss_matrix_i8_kernel GOSS_KERNEL(pointwise_i8_4x4);
goss_matrix_i8_kernel GOSS_KERNEL(fully_connected_i8_1x4);
goss_matrix_i8_kernel GOSS_KERNEL(fully_connected_i8_4x4);
void GOSS_KERNEL(depthwise_i8)(const goss_depthwise_i8_args *);
void GOSS_KERNEL(max_pool_i8)(const goss_max_pool_i8_args *);
void GOSS_KERNEL(global_average_pool_i8)(const goss_global_average_pool_i8_args *);
void GOSS_KERNEL(add_i8)(const goss_add_i8_args *);
void GOSS_KERNEL(multiply_i8)(const goss_multiply_i8_args *);
void GOSS_KERNEL(scale_i8)(const goss_multiply_i8_args *);
void GOSS_KERNEL(lookup_i8)(const goss_lookup_i8_args *);
void GOSS_KERNEL(quantize_i8)(const goss_quantize_i8_args *);
void GOSS_KERNEL(dequantize_i8)(const goss_dequantize_i8_args *);
int GOSS_KERNEL(all_finite_f32)(const float *, size_t);
size_t GOSS_KERNEL(multiply_adds_f32)(size_t, float *);

#define GOSS_STRING_(name) #name
#define GOSS_STRING(name)  GOSS_STRING_(name)

extern const goss_kernels GOSS_CONCAT(goss_kernels_, GOSS_ISA);

const goss_kernels GOSS_CONCAT(goss_kernels_, GOSS_ISA) = {
    .isa = GOSS_STRING(GOSS_ISA),
    .pointwise_tile = {GOSS_TILE_VECTORS(1) * VF32_LANES, GOSS_TILE_VECTORS(2) * VF32_LANES,
                       GOSS_TILE_VECTORS(4) * VF32_LANES, GOSS_TILE_VECTORS(8) * VF32_LANES},
    .lanes = VF32_LANES,
    .pointwise_i8_tile = {GOSS_POINTWISE_I8_VECTORS(1) * VF32_LANES, GOSS_POINTWISE_I8_VECTORS(4) * VF32_LANES},
    .pointwise_f32 = {GOSS_KERNEL(pointwise_f32_1x1), GOSS_KERNEL(pointwise_f32_2x1), GOSS_KERNEL(pointwise_f32_4x1),
                      GOSS_KERNEL(pointwise_f32_8x1)},
    .fully_connected_f32 = {GOSS_KERNEL(fully_connected_f32_1x1), GOSS_KERNEL(fully_connected_f32_2x1),
                            GOSS_KERNEL(fully_connected_f32_4x1), GOSS_KERNEL(fully_connected_f32_8x1)},
    .pack_f32 = GOSS_KERNEL(pack_f32),
    .pack_pixels_f32 = GOSS_KERNEL(pack_pixels_f32),
    .unpack_f32 = GOSS_KERNEL(unpack_f32),
    .depthwise_f32 = GOSS_KERNEL(depthwise_f32),
    .depthwise_square_f32 = GOSS_KERNEL(depthwise_square_f32),
    .global_average_pool_f32 = GOSS_KERNEL(global_average_pool_f32),
    .max_pool_f32 = GOSS_KERNEL(max_pool_f32),
    .average_pool_f32 = GOSS_KERNEL(average_pool_f32),
    .add_f32 = GOSS_KERNEL(add_f32),
    .clamp_f32 = GOSS_KERNEL(clamp_f32),
    .multiply_f32 = GOSS_KERNEL(multiply_f32),
    .scale_f32 = GOSS_KERNEL(scale_f32),
    .sigmoid_f32 = GOSS_KERNEL(sigmoid_f32),
    .silu_f32 = GOSS_KERNEL(silu_f32),
    .hard_swish_f32 = GOSS_KERNEL(hard_swish_f32),
    .tanh_f32 = GOSS_KERNEL(tanh_f32),
    .elu_f32 = GOSS_KERNEL(elu_f32),
    .softplus_f32 = GOSS_KERNEL(softplus_f32),
    .mish_f32 = GOSS_KERNEL(mish_f32),
    .erf_f32 = GOSS_KERNEL(erf_f32),
    .gelu_f32 = GOSS_KERNEL(gelu_f32),
    .gelu_tanh_f32 = GOSS_KERNEL(gelu_tanh_f32),
    .leaky_relu_f32 = GOSS_KERNEL(leaky_relu_f32),
    .softmax_f32 = GOSS_KERNEL(softmax_f32),
    .pointwise_i8 = {GOSS_KERNEL(pointwise_i8_1x4), GOSS_KERNEL(pointwise_i8_4x4)},
    .fully_connected_i8 = {GOSS_KERNEL(fully_connected_i8_1x4), GOSS_KERNEL(fully_connected_i8_4x4)},
    .depthwise_i8 = GOSS_KERNEL(depthwise_i8),
    .max_pool_i8 = GOSS_KERNEL(max_pool_i8),
    .global_average_pool_i8 = GOSS_KERNEL(global_average_pool_i8),
    .add_i8 = GOSS_KERNEL(add_i8),
    .multiply_i8 = GOSS_KERNEL(multiply_i8),
    .scale_i8 = GOSS_KERNEL(scale_i8),
    .lookup_i8 = GOSS_KERNEL(lookup_i8),
    .quantize_i8 = GOSS_KERNEL(quantize_i8),
    .dequantize_i8 = GOSS_KERNEL(dequantize_i8),
    .all_finite_f32 = GOSS_KERNEL(all_finite_f32),
    .multiply_adds_f32 = GOSS_KERNEL(multiply_adds_f32),
};
