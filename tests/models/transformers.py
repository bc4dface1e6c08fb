"""A vision transformer (arXiv:2010.11929) as people write it in PyTorch."""

from __future__ import annotations

import torch
from torch import nn


class Attention(nn.Module):
    """Self-attention by hand, over one matrix of queries, keys and values."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, count, width = x.shape
        qkv = self.qkv(x).reshape(n, count, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(n, count, width))


class TorchAttention(nn.Module):
    """PyTorch's own layer."""

    def __init__(self, width, heads):
        super().__init__()
        self.layer = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x):
        return self.layer(x, x, x, need_weights=False)[0]


class Block(nn.Module):
    def __init__(self, width, heads, attention):
        super().__init__()
        self.before, self.attention = nn.LayerNorm(width), attention(width, heads)
        self.between = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        x = x + self.attention(self.before(x))
        return x + self.mlp(self.between(x))


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, blocks, and the token's class."""

    def __init__(
        self, side=32, patch=8, width=48, heads=3, depth=2, classes=10, attention=Attention
    ):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.5)
        self.positions = nn.Parameter(torch.randn(1, (side // patch) ** 2 + 1, width) * 0.5)
        self.blocks = nn.Sequential(*[Block(width, heads, attention) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])
