"""The lab's azure-native provider: the published package's types, with the simulated Azure."""
