"""Converters for layers whose variables Keras lays out in another way.

A converter knows the variables of one layer of TF1: what they are called in
TF2, and how their values move. Several are put together in a `Mapping`, to
which a test class delegates both template methods:

    class MyTest(tf_equiv.MigrationTestCase):
      mapping = tf_equiv.converters.Mapping(
        {'net/dense/kernel': 'dense/kernel', 'net/dense/bias': 'dense/bias'},
        tf_equiv.converters.LSTM('net/rnn/basic_lstm_cell', 'lstm/lstm_cell'),
      )

      def rename_variable(self, tf1_name):
        return self.mapping.rename(tf1_name)

      def convert_variable(self, tf1_name, value, tf2_name):
        return self.mapping.convert(tf1_name, value, tf2_name)

Only NumPy is needed. Names are without ':0'; for Keras 3 they are paths. All
conversions are affine, so that they apply to gradients and optimizer slots too.
"""

from tf_equiv.converters.attention import Attention, FusedQKV
from tf_equiv.converters.converter import Converter
from tf_equiv.converters.convolution import SeparableConv
from tf_equiv.converters.mapping import Mapping
from tf_equiv.converters.normalization import BatchNorm
from tf_equiv.converters.recurrent import GRU, LSTM, CudnnLSTM

__all__ = (
  'Attention',
  'BatchNorm',
  'Converter',
  'CudnnLSTM',
  'FusedQKV',
  'GRU',
  'LSTM',
  'Mapping',
  'SeparableConv',
)
