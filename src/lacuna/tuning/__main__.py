"""``python -m lacuna.tuning FOLDER``: be a worker of the study whose job lies there. The supervisor starts these."""

from lacuna.tuning.worker import main

main()
