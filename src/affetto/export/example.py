"""Values that the model predicts, by onnxruntime, numpy and soundfile alone: python predict.py clip.wav …"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile


def main() -> None:
    session = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"))
    facts = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    window, hop = facts["window_samples"], facts["hop_samples"]
    for file in sys.argv[1:]:
        samples, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
        wave, length = samples.mean(axis=1), round(len(samples) * facts["sample_rate_hz"] / rate_hz)
        if rate_hz != facts["sample_rate_hz"]:  # resampled by its spectrum
            wave = np.fft.irfft(np.fft.rfft(wave) * (length / len(wave)), length).astype(np.float32)
        # All of the recording is used: windows, the last of which ends where it does, and the mean over them.
        last = max(0, length - window)
        windows = [wave[None, at : at + window] for at in (*range(0, last, hop), last)]
        output = facts.get("values", "probabilities")
        mean = np.mean([session.run([output], {"waves": wave})[0][0] for wave in windows], axis=0)
        count = len(facts["labels"])
        if facts.get("one_label", True):
            sure = mean[:count] ** (1 / facts["temperature"])  # calibrated
            mean[:count] = sure / sure.sum()
        names = [*facts["labels"], *facts.get("dimensions", {})]
        print(json.dumps({"file": file, **dict(zip(names, mean.tolist(), strict=True))}))


if __name__ == "__main__":
    main()
