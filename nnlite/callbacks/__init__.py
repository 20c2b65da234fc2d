"""Callbacks: user code that runs during fit, evaluate and predict."""

from typing import TYPE_CHECKING

from nnlite.callbacks.callback import Callback
from nnlite.callbacks.callback_list import CallbackList as CallbackList
from nnlite.callbacks.history import History
from nnlite.callbacks.learning_rate_scheduler import LearningRateScheduler
from nnlite.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from nnlite.callbacks.terminate_on_nan import TerminateOnNaN
from nnlite.utils.lazy import on_first_use

if TYPE_CHECKING:
    from nnlite.callbacks.backup_and_restore import BackupAndRestore
    from nnlite.callbacks.csv_logger import CSVLogger
    from nnlite.callbacks.early_stopping import EarlyStopping
    from nnlite.callbacks.lambda_callback import LambdaCallback
    from nnlite.callbacks.model_checkpoint import ModelCheckpoint
    from nnlite.callbacks.swap_ema_weights import SwapEMAWeights
    from nnlite.callbacks.tensorboard import TensorBoard
else:
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "nnlite.callbacks.backup_and_restore": "BackupAndRestore",
            "nnlite.callbacks.csv_logger": "CSVLogger",
            "nnlite.callbacks.early_stopping": "EarlyStopping",
            "nnlite.callbacks.lambda_callback": "LambdaCallback",
            "nnlite.callbacks.model_checkpoint": "ModelCheckpoint",
            "nnlite.callbacks.swap_ema_weights": "SwapEMAWeights",
            "nnlite.callbacks.tensorboard": "TensorBoard",
        },
    )

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
