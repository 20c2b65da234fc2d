"""Forecast a noisy seasonal series with an LSTM, and compare with the naive forecast.

    python docs/examples/forecast.py

Takes about 15 seconds on two cores. The root mean squared error of the LSTM is 0.12, close to the
noise of 0.1 that nobody can foresee; repeating the value of one period ago gives 0.37.
"""

import numpy as np

import nnlite
from nnlite import Input, Sequential
from nnlite.callbacks import EarlyStopping
from nnlite.layers import LSTM, Dense

PERIOD, STEPS, NOISE = 24, 48, 0.1

nnlite.set_random_seed(1)
random = np.random.default_rng(1)
time = np.arange(4_000)
season = np.sin(2 * np.pi * time / PERIOD) + 0.5 * np.sin(2 * np.pi * time / (7 * PERIOD))
trend = np.cumsum(random.normal(scale=0.02, size=len(time)))
series = season + trend - trend.mean() + random.normal(scale=NOISE, size=len(time))

windows = np.lib.stride_tricks.sliding_window_view(series, STEPS + 1).astype("float32")
base = windows[:, -2:-1]  # the last known value: the network forecasts the change from there
x, y = (windows[:, :-1] - base)[:, :, None], windows[:, -1:] - base
split = len(x) * 3 // 4  # the past to learn from, the future to be judged by

model = Sequential([Input((STEPS, 1)), LSTM(32), Dense(1)])
model.compile("adam", "mse")
model.fit(
    x[:split],
    y[:split],
    epochs=25,
    batch_size=64,
    validation_split=0.1,
    callbacks=[EarlyStopping(patience=4, restore_best_weights=True)],
    verbose=2,
)

error = model.predict(x[split:], verbose=0) - y[split:]
naive = windows[split:, -1 - PERIOD] - windows[split:, -1]
print(f"LSTM:  root mean squared error {np.sqrt(np.mean(error**2)):.3f}")
print(f"naive: root mean squared error {np.sqrt(np.mean(naive**2)):.3f}")
