"""Heads and notes of the tables, in both languages."""

WORDS = {
    "en": {
        "digits": "| network | accuracy, same writers | 95 % interval | worst digit | parameters "
        "| multiply-accumulates |",
        "digits_note": "360 test images of `digits`, one seed ({seed}), by the writers "
        "of the training images. ★ champion, by the validation set.",
        "own_hands": "Of the test images of `digits`, by the same writers as its training images, `best_cnn` gets "
        "**{own}** right; of MNIST's 10,000, by hands that it never saw, **{others}** (means over {seeds} seeds).",
        "fanout": "On `digits`, {networks} networks, {cores} cores: {one} s by `dvc repro`, {many} s by `cifra fanout` "
        "({ratio} ×), once each, while other work had a load of {load} on the same cores; `python -m bench.fanout`.",
        "repro": "| data set | networks | cold `dvc repro` | of that, training | with nothing to do |",
        "repro_note": "Seconds, once each, in a fresh clone with its packages there ({processor}, {cores} threads); "
        "`python -m bench.repro` makes this table.",
        "courses": "| network | MNIST | Fashion-MNIST |",
        "courses_note": "Test accuracy with its 95 % interval, one seed ({seed}), torch {torch}; "
        "`python -m bench.courses` makes this table.",
        "after": "Fashion-MNIST, after epoch",
        "course": "the course saw",
        "train": "| network | type | the notebooks' loop | Cifra | speedup | of the matrix-multiply rate "
        "| accuracy | noise |",
        "train_note": "Seconds per epoch of MNIST, medians of {rounds} seeds, the two loops in turns "
        "({processor}, {cores} threads, torch {torch}). Geometric mean: **{geometric_mean} ×**. The accuracy after one "
        "epoch is Cifra's minus the notebooks', the noise two standard errors of that; `make bench-train` makes this.",
        "gpu": "| network | type | notebooks' loop | with 8 workers | Cifra, no graph | Cifra | speedup | kernels |",
        "gpu_note": "Seconds per epoch of MNIST on one {card} (torch {torch}); the speedup is over the loop with 8 "
        "workers, geometric mean **{geometric_mean} ×**; kernels: the share of a step in which they run. Whole "
        "recipes: {whole}. `python -m bench.gpu` makes this table.",
        "precision": "| network | in fp32 | in bf16 | difference | noise | seeds |",
        "precision_note": "MNIST's test accuracy after the whole recipe, means over the seeds; the noise is two "
        "standard errors of the difference. `python -m bench.precision` makes this table.",
        "strength": "| network | data set | test accuracy | seeds | seconds of training |",
        "strength_note": "Mean ± standard deviation over the seeds; `python -m bench.strength` makes this table.",
        "ladder": "| `best_cnn`, trained on `digits` alone | its own test images | MNIST's 10,000 | seconds |",
        "ladder_note": "Each line adds one ingredient to those above. Means over {seeds} seeds, of training on 1,293 "
        "images; `python -m bench.ladder` makes this table.",
        "plain": "nothing added",
        "schedule": "learning rate that rises and falls",
        "weight_decay": "weight decay",
        "label_smoothing": "smoothed labels",
        "average": "averaged weights",
        "augment": "images changed afresh each time",
        "int8": "| network | bytes in int8 | speedup here | validation accuracy | kept |",
        "yes": "yes",
        "no": "no",
        "exact": "| beside a first run (CPU, one thread) | weights | ONNX files | largest difference of a weight "
        "| other answers |",
        "exact_note": "Networks with the very same bytes, of {networks}, after {epochs} epochs on few images; torch "
        "{torch}, {machine}. The ONNX file says with how many threads and on what it was trained, so its bytes differ "
        "there in any case. `python -m bench.exact` makes this table.",
        "again": "once more, in the same place",
        "clone": "in another clone",
        "path": "in a clone at a longer path, with spaces and accents",
        "threads": "two threads",
        "cuda": "CUDA",
        "unmeasured": "not measured: there was no such machine",
        "of": "of",
        "soak": "So far {kills} kills in {pipelines} pipelines (SIGKILL, SIGTERM, Ctrl-C; to DVC, to the stage or to "
        "both; in {stages} stages) left {troubles} other bytes, leftovers or tracebacks of ours, or processes that "
        "lived on.",
        "serve": "| server | question | requests/s | Cifra's JSON is |",
        "serve_note": "`lenet_28`, one image per request, 16 connections, server and client on one core each "
        "({processor}), medians of {rounds} or more interleaved rounds; `make bench-serve` makes this table.",
    },
    "es": {
        "digits": "| red | exactitud, mismas manos | intervalo del 95 % | peor dígito | parámetros "
        "| multiplicaciones |",
        "digits_note": "360 imágenes de prueba de `digits`, una semilla ({seed}), de las manos "
        "que escribieron las de entrenamiento. ★ campeona, según la validación.",
        "own_hands": "De las imágenes de prueba de `digits`, de las mismas manos que las de entrenamiento, `best_cnn` "
        "acierta el **{own}**; de las 10.000 de MNIST, de manos que nunca vio, el **{others}** (medias de {seeds} "
        "semillas).",
        "fanout": "En `digits`, {networks} redes, {cores} núcleos: {one} s con `dvc repro`, {many} s con "
        "`cifra fanout` ({ratio} ×), una vez cada uno, con otro trabajo en los mismos núcleos (carga de {load}); "
        "`python -m bench.fanout`.",
        "repro": "| conjunto | redes | `dvc repro` desde cero | de ello, entrenar | sin nada que hacer |",
        "repro_note": "Segundos, una vez cada uno, en un clon nuevo con los paquetes instalados ({processor}, {cores} "
        "hilos); esta tabla la hace `python -m bench.repro`.",
        "courses": "| red | MNIST | Fashion-MNIST |",
        "courses_note": "Exactitud de prueba, intervalo del 95 %, una semilla ({seed}), torch {torch}; "
        "la hace `python -m bench.courses`.",
        "after": "Fashion-MNIST, tras la época",
        "course": "lo que vio el curso",
        "train": "| red | tipo | el bucle de los cuadernos | Cifra | veces más rápido "
        "| de la velocidad de multiplicar matrices | exactitud | ruido |",
        "train_note": "Segundos por época de MNIST, medianas de {rounds} semillas, los dos bucles por turnos "
        "({processor}, {cores} hilos, torch {torch}). Media geométrica: **{geometric_mean} ×**. La exactitud tras una "
        "época es la de Cifra menos la de los cuadernos, el ruido dos errores estándar; lo hace `make bench-train`.",
        "gpu": "| red | tipo | bucle de los cuadernos | con 8 procesos | Cifra, sin grafo | Cifra | aceleración "
        "| núcleos |",
        "gpu_note": "Segundos por época de MNIST en una {card} (torch {torch}); la aceleración es sobre el bucle con 8 "
        "procesos, media geométrica **{geometric_mean} ×**; núcleos: la parte de un paso en que calculan. Recetas "
        "enteras: {whole}. Esta tabla la hace `python -m bench.gpu`.",
        "precision": "| red | en fp32 | en bf16 | diferencia | ruido | semillas |",
        "precision_note": "Exactitud de prueba en MNIST tras la receta entera, medias de las semillas; el ruido son "
        "dos errores estándar de la diferencia. Esta tabla la hace `python -m bench.precision`.",
        "strength": "| red | conjunto | exactitud de prueba | semillas | segundos de entrenamiento |",
        "strength_note": "Media ± desviación típica entre semillas; esta tabla la hace `python -m bench.strength`.",
        "ladder": "| `best_cnn`, entrenada con `digits` | sus imágenes de prueba | las 10.000 de MNIST | segundos |",
        "ladder_note": "Cada línea añade un ingrediente a las de arriba. Medias de {seeds} semillas, entrenando con "
        "1.293 imágenes; esta tabla la hace `python -m bench.ladder`.",
        "plain": "sin añadir nada",
        "schedule": "tasa de aprendizaje que sube y baja",
        "weight_decay": "decaimiento de los pesos",
        "label_smoothing": "etiquetas suavizadas",
        "average": "pesos promediados",
        "augment": "imágenes que cambian cada vez",
        "int8": "| red | bytes en int8 | aceleración aquí | exactitud de validación | se queda |",
        "yes": "sí",
        "no": "no",
        "exact": "| frente a una primera vez (CPU, un hilo) | pesos | archivos ONNX | mayor diferencia de un peso "
        "| otras respuestas |",
        "exact_note": "Redes con los mismos bytes, de {networks}, tras {epochs} épocas con pocas imágenes; torch "
        "{torch}, {machine}. El archivo ONNX dice con cuántos hilos y dónde se entrenó: sus bytes difieren ahí en todo "
        "caso. Esta tabla la hace `python -m bench.exact`.",
        "again": "otra vez, en el mismo lugar",
        "clone": "en otro clon",
        "path": "en un clon con una ruta más larga, con espacios y acentos",
        "threads": "dos hilos",
        "cuda": "CUDA",
        "unmeasured": "sin medir: no había tal máquina",
        "of": "de",
        "soak": "Hasta ahora, {kills} interrupciones en {pipelines} ejecuciones (SIGKILL, SIGTERM, Ctrl-C; a DVC, a la "
        "etapa o a ambos; en {stages} etapas) dejaron {troubles} bytes distintos, restos o errores nuestros, o "
        "procesos vivos.",
        "serve": "| servidor | pregunta | respuestas/s | el JSON de Cifra es |",
        "serve_note": "`lenet_28`, una imagen por pregunta, 16 conexiones, servidor y cliente en un núcleo cada uno "
        "({processor}), medianas de {rounds} o más rondas alternas; esta tabla la hace `make bench-serve`.",
    },
}
