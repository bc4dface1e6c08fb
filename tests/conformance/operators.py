"""The operators of ONNX that networks for vision are made of, and that the engine is to run."""

from __future__ import annotations

NAMES = """
    Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool
    BatchNormalization InstanceNormalization LayerNormalization LRN Softmax LogSoftmax Dropout
    Gemm MatMul Einsum CumSum
    Add Sub Mul Div Pow Min Max Where
    Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Not
    Relu LeakyRelu PRelu Elu Selu HardSigmoid HardSwish Sigmoid Tanh Erf Gelu Softplus Mish Clip
    Exp Log Sqrt Abs Neg Reciprocal Floor Ceil Round Sign
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum ReduceSumSquare ArgMax ArgMin TopK
    Concat Split Slice Pad Reshape Transpose Squeeze Unsqueeze Flatten Expand Tile
    Gather GatherND OneHot NonMaxSuppression
    Shape Size Cast ConstantOfShape Range Identity
    Resize DepthToSpace SpaceToDepth
"""
OPERATORS = frozenset(NAMES.split())
