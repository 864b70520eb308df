import torch
from torch import nn

from orchestrator.worker.ema import Average


def test_the_average_is_the_sum_of_weights_that_fade_by_the_decay() -> None:
    model = nn.Linear(3, 2)
    average, seen = Average.of(model, 0.75), [model.weight.detach().clone()]
    for step in range(3):
        with torch.no_grad():
            model.weight.mul_(step + 2)
        average.follow(model)
        seen.append(model.weight.detach().clone())

    wanted = 0.75**3 * seen[0] + 0.25 * (0.75**2 * seen[1] + 0.75 * seen[2] + seen[3])
    torch.testing.assert_close(average.weights["weight"], wanted)
