package org.elms;

import java.nio.charset.StandardCharsets;

/** A model on this device. Call ask() off the main thread; cancel() from any. */
public final class Assistant implements AutoCloseable {
    /** Gets an answer's text piece by piece, in whole characters; false ends the answer. */
    public interface Listener {
        boolean onText(byte[] utf8);
    }

    static {
        System.loadLibrary("elms_jni");
    }

    private long handle;

    /** Paths of a model and, or null, of a refiner. */
    public Assistant(String model, String refiner) {
        handle = open(bytes(model), refiner == null ? null : bytes(refiner));
    }

    /** Targets in milliseconds, 0 for none; returns what was planned and measured. */
    public String ask(String context, String question, double ttftMs, double tpotMs, Listener listener) {
        return new String(ask(handle, bytes(context), bytes(question), ttftMs, tpotMs, listener), StandardCharsets.UTF_8);
    }

    public void cancel() {
        cancel(handle);
    }

    /** Not while ask() runs. */
    @Override
    public void close() {
        close(handle);
        handle = 0;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static native long open(byte[] model, byte[] refiner);

    private static native byte[] ask(long handle, byte[] context, byte[] question, double ttftMs, double tpotMs, Listener listener);

    private static native void cancel(long handle);

    private static native void close(long handle);

    /** On a desktop: java -Djava.library.path=BUILD Assistant.java MODEL.gguf REFINER.gguf */
    public static void main(String[] paths) {
        try (Assistant assistant = new Assistant(paths[0], paths[1])) {
            String times = assistant.ask(
                "Choose the function that fits the request.\nget_weather: tell the forecast for a place\n"
                    + "alarm: set a clock to ring at a time\nplay_music: start a song or an album\n",
                "Request: wake me up at half past six tomorrow\nFunction:", 0, 0, utf8 -> {
                    System.out.print(new String(utf8, StandardCharsets.UTF_8));
                    return true;
                });
            System.out.println("\n" + times);
        }
        try (Assistant absent = new Assistant("absent.gguf", null)) {
            throw new AssertionError("opened a file that does not exist");
        } catch (IllegalStateException expected) {
            System.out.println("as it should be: " + expected.getMessage());
        }
    }
}
