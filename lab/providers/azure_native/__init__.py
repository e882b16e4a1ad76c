"""The lab's azure-native provider: the published package's types, the lab's cloud behind them."""
