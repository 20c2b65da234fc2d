"""Train a network on 1,437 handwritten digits and test it on 360 others."""

import nnlite
from nnlite import Sequential
from nnlite.layers import Dense, Dropout

nnlite.set_random_seed(1)
(x, y), (x_test, y_test) = nnlite.datasets.digits.load_data()  # 8 x 8 pixels from 0 to 16

model = Sequential(
    [
        Dense(128, activation="relu"),
        Dropout(0.2),
        Dense(64, activation="relu"),
        Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x / 16, y, epochs=40, validation_split=0.1)
model.summary()

loss, accuracy = model.evaluate(x_test / 16, y_test)
print(f"test accuracy: {accuracy:.1%}")
