"""The assertions of `MigrationTestCase`, one mixin per step of the guide."""
