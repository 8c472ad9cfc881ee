"""The container image: what is in it (`root`), its locked dependencies (`lock`), and how it is built (`build`)."""
