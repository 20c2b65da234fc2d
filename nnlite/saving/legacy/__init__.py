"""What files of earlier versions of Keras mean today."""
