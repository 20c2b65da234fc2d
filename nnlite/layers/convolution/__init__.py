"""Convolutions: windows of images and sequences times a kernel."""

from nnlite.layers.convolution.conv import Conv1D, Conv2D, Conv3D

__all__ = ["Conv1D", "Conv2D", "Conv3D"]
