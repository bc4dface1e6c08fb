"""CIFAR-10 networks: train the embedded one, and prune dense ones in every way to compare.

The dense network starts from weights that were trained on ImageNet (imagenet_weights.py). It trains
in two phases: the first has one more layer with stride 2, which makes an epoch take half the time.
Sparse networks start from the dense checkpoint and lose weights of every pointwise convolution
through `gossamer.torch.Pruner`, or at once through `gossamer.prune`.

Run again with the same options after an interruption: training continues after the last finished
epoch and gives the same weights. Augmentation, order and schedule depend only on the seed, the
phase and the epoch. Each result is that of the last epoch, not of the best one; recipes were chosen
by validation images.

Needs ``torch tqdm ai-edge-litert`` and ``gossamer-nn[bench,convert,image,torch]``.
``MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296`` in the environment makes an
epoch a tenth shorter: glibc then keeps the memory of one step for the next.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import comparison
import embedded
import residual
import torch
from images import load_images
from network import write_model

SHARED = embedded.ROOT.parent / "shared"
SIDES = "sides of the images in pixels, each for an equal share of the epochs"


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Options of every training."""
    add = parser.add_argument
    tar, kept = "tar of <class>/<name>.jpg", "checkpoints, decoded images"
    add("--train", type=Path, default=SHARED / "data" / "cifar10-train.tar", help=tar)
    add("--validation", type=Path, default=SHARED / "data" / "cifar10-validation.tar", help=tar)
    add("--out", type=Path, default=embedded.ROOT / "build" / "train", help=kept)
    add("--width", type=float, default=0.75, help="multiplier of the channels")
    add("--rate", type=float, default=0.02, help="peak learning rate")
    add("--batch-size", type=int, default=64)
    add("--weight-decay", type=float, default=2e-4)
    add("--label-smoothing", type=float, default=0.1)
    add("--cutout", type=int, default=8, help="side of the erased square in pixels")
    add("--plain-epochs", type=int, default=4, help="of pruning, at its end, without cutout")
    add("--cutmix", type=float, default=0.3, help="share of batches, in the dense phase")
    add("--ramp-end", type=float, default=0.4, help="share of the sparse phase spent pruning")
    add("--prune-every", type=int, default=100, help="steps between two prunings")
    add("--validate-every", type=int, default=4, help="epochs between looks at validation images")
    add("--threads", type=int, default=os.cpu_count(), help="threads of PyTorch")
    add("--bf16", action="store_true", help="bfloat16; twice as fast on a processor with AMX")
    add("--seed", type=int, default=1)


def add_embedded_options(parser: argparse.ArgumentParser) -> None:
    """Options of the embedded network."""
    add = parser.add_argument
    add(
        "--imagenet",
        type=Path,
        default=SHARED / "models" / "mobilenet_v1_0.75_192_quant.tflite",
        help="MobileNet-v1 trained on ImageNet, of the same width",
    )
    models = embedded.MODEL.parent
    add("--models", type=Path, default=models, help="folder of the .goss file and its card")
    kept = "train the sparse phases only, from the dense weights in tools/checkpoints"
    add("--from-dense-twin", action="store_true", help=kept)
    add("--coarse-epochs", type=int, default=12)
    add("--dense-epochs", type=int, default=12)
    add("--sparse-epochs", type=int, default=embedded.SPARSE_EPOCHS)
    add("--sparse-rate", type=float, default=0.015, help="peak learning rate of the last phases")
    add("--fixed-epochs", type=int, default=embedded.FIXED_EPOCHS)
    add("--fixed-cutmix", type=float, default=0.5, help="share of batches, in the last phase")
    add("--dense-sides", type=int, nargs="+", default=[24, 24, 32], help=SIDES)
    add("--sparse-sides", type=int, nargs="+", default=[24, 28, 28, 32], help=SIDES)
    add("--fixed-sides", type=int, nargs="+", default=[28, 32, 32], help=SIDES)
    add("--pattern", default="1x1", help="blocks of output x input channels")
    add(
        "--sparsity",
        type=float,
        default=embedded.SPARSITY,
        help="share of zeros in a pointwise layer",
    )
    add(
        "--late-sparsity",
        type=float,
        default=embedded.LATE_SPARSITY,
        help="the same in the last two of them",
    )


def add_residual_options(parser: argparse.ArgumentParser) -> None:
    """Options of the dense MobileNet-v2."""
    add = parser.add_argument
    file = SHARED / "models" / "mobilenet_v2_1.0_224_quant.tflite"
    add("--imagenet", type=Path, default=file, help="MobileNet-v2 trained on ImageNet")
    add("--coarse-epochs", type=int, default=5)
    add("--fine-epochs", type=int, default=3)
    add("--fine-rate", type=float, default=0.01, help="peak learning rate of the second phase")
    add("--distillation", type=float, default=0.5, help="weight of the embedded network's answers")
    parser.set_defaults(plain_epochs=1)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    shape = argparse.ArgumentDefaultsHelpFormatter
    top = argparse.ArgumentParser("python tools/cifar10", description=__doc__.splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="the embedded network", formatter_class=shape)
    add_training_options(train)
    add_embedded_options(train)
    twin = commands.add_parser("dense-twin", help="write the dense network that is kept")
    twin.add_argument("path", type=Path, metavar="GOSS")
    second = commands.add_parser(
        "train-v2", help="a dense MobileNet-v2, to prune", formatter_class=shape
    )
    add_training_options(second)
    add_residual_options(second)
    compare = commands.add_parser(
        "compare", help="prune a dense network: patterns, sparsities", formatter_class=shape
    )
    add_training_options(compare)
    comparison.add_options(compare)
    return top


def main() -> None:
    """Do what the command line asks for."""
    options = parser().parse_args()
    if options.command == "dense-twin":
        write_model(embedded.load_dense_twin().model, options.path, "dense")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    sets = []
    if options.command != "compare" or options.epochs:
        sets = [load_images(path, options.out) for path in (options.train, options.validation)]
    if options.command == "train":
        defaults = vars(parser().parse_args(["train"]))
        embedded.train(options, defaults.get, sets)
    elif options.command == "train-v2":
        residual.train(options, sets)
    else:
        comparison.compare(options, sets)


if __name__ == "__main__":
    main()
