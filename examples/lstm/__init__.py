"""An LSTM with dropout: `dynamic_rnn`, and the same in the shim."""
